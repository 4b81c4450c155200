"""The part of `mmspec evaluate` for models that tell classes or functional groups."""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mmspec_ds.errors import ConfigError

if TYPE_CHECKING:
    from mmspec_ds.evaluation.equality import Compared
    from mmspec_ds.systems.fusion.evaluate import FusionScore, SpoiltScore
    from mmspec_ds.trainer.run_settings import RunSettings

RATES = (0.0, 0.2, 0.4, 0.6)


def evaluate_fusion(options: argparse.Namespace, models: Sequence[Path]) -> int:
    """Print, and write if asked, the figures of all models on the same records, what their trainings used and
    what of that was equal; the exit status.

    Args:
        options: of the command.
        models: folders of trained models, all of fusion.

    Raises:
        ConfigError: rates without a modality, rates that are no shares, or a modality that a model does not
            read.
        DataError: a file cannot be read.
    """
    from rich.console import Console

    from mmspec_ds.evaluation.score_table import print_rows, print_trainings
    from mmspec_ds.files import write_json
    from mmspec_ds.systems.fusion.evaluate import read_samples, score, spoilt_scores
    from mmspec_ds.systems.fusion.trained import load_fusion

    if options.rates is not None and options.spoil is None:
        raise ConfigError("--rates are of --spoil: expected the modality that is spoilt")
    rates = RATES if options.rates is None else tuple(options.rates)
    if not all(0 <= one <= 1 for one in rates):
        raise ConfigError(f"--rates {' '.join(f'{one:g}' for one in rates)}: expected shares from 0 to 1")
    scores: dict[str, FusionScore] = {}
    spoilt: dict[str, list[SpoiltScore]] = {}
    compared: list[Compared] = []
    for folder in models:
        trained = load_fusion(folder)
        data = read_samples(trained, options.data, options.limit)
        for remark in data.remarks:
            print(f"{folder}: {remark}")
        scores[str(folder)] = score(trained, data)
        compared.append(_compared(folder, trained.run))
        if options.spoil is not None:
            spoilt[str(folder)] = spoilt_scores(trained, data, options.spoil, rates)
    console = Console()
    print_rows(*_table(scores), None, console)
    for name, rows in spoilt.items():
        print_rows(*_spoilt_table(rows), f"{name}, {options.spoil} spoilt", console)
    print_trainings(compared, console)
    if options.json:
        write_json(options.json, _content(scores, spoilt, compared))
    return 0


def _compared(folder: Path, run: "RunSettings") -> "Compared":
    """Return what the training of a model used."""
    from mmspec_ds.evaluation.equality import COUNTS, Compared
    from mmspec_ds.trainer.usage import read_usage

    usage = read_usage(folder, run).to_json()
    counts = {name: usage[name] for name in COUNTS if name in usage}
    return Compared(str(folder), counts, {"data": usage["data"], "seed": run.seed})


def _table(scores: "dict[str, FusionScore]") -> tuple[list[str], list[list[str]]]:
    """Return the heads and the rows of the table of scores, a row for each model."""
    modalities = list(dict.fromkeys(name for one in scores.values() for name in one.weight))
    heads = ["", "samples", "molecules or patients", "AUC", "95 % interval"]
    for what in ("AUC of {} alone", "weight of {}", "contribution of {}, nats"):
        heads += [what.format(name) for name in modalities]
    heads += ["head and exact, predicted class", "head and exact, true class"]
    rows = []
    for model, one in scores.items():
        row = [
            model,
            f"{one.samples:,}",
            f"{one.groups:,}",
            f"{one.auc:.3f}",
            f"{one.low:.3f} to {one.high:.3f}",
        ]
        for held in (one.alone, one.weight, one.contribution):
            row += [f"{held[name]:.3f}" if name in held else "-" for name in modalities]
        row += [f"{one.head[name]:.3f}" if one.head else "-" for name in ("of_answer", "of_truth")]
        rows.append(row)
    return heads, rows


def _spoilt_table(scores: "list[SpoiltScore]") -> tuple[list[str], list[list[str]]]:
    heads = ["", "share of samples", "AUC", "weight where spoilt", "weight elsewhere"]
    rows = [
        [one.kind, f"{one.rate:.2f}", f"{one.auc:.3f}", f"{one.weight_spoilt:.3f}", f"{one.weight_sound:.3f}"]
        for one in scores
    ]
    return heads, [[cell.replace("nan", "-") for cell in row] for row in rows]


def _content(
    scores: "dict[str, FusionScore]", spoilt: "dict[str, list[SpoiltScore]]", compared: "Sequence[Compared]"
) -> dict[str, Any]:
    """The figures of the first model, and all by name under `rows` if there are several, with what was equal
    between their trainings under `compared`."""
    from mmspec_ds.evaluation.equality import equality_of

    found = {name: one.to_json() for name, one in scores.items()}
    for name, rows in spoilt.items():
        found[name]["spoilt"] = [
            {key: value for key, value in vars(row).items() if value == value} for row in rows
        ]
    for one in compared:
        found[one.name]["training"] = dict(one.counts)
    body = dict(next(iter(found.values())))
    if len(found) == 1:
        return body
    return body | {"rows": found, "compared": equality_of(compared).to_json()}
