"""Print a profile as a table (like table 12 of the paper), and write it as JSON and for TensorBoard."""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich.console import Console

from mmspec_ds.profiling.compare import Profile
from mmspec_ds.profiling.measurements import Figures, Row, all_rows
from mmspec_ds.profiling.text_tables import say, show

LETTERS = "AB"


def print_profile(profile: Profile, console: Console | None = None) -> None:
    """Print head lines, table and notes."""
    console = console or Console()
    for line in head_lines(profile):
        say(console, line)
    show(console, heads_of(profile), table_rows(profile), first_left=True)
    for line in tail_lines(profile):
        say(console, line)


def head_lines(profile: Profile) -> list[str]:
    """Return lines about the machine and the models."""
    where = profile.environment
    lines = [
        f"{where['ranks']} rank(s) on {where['device']}, torch {where['torch']}, deepspeed {where['deepspeed']}"
    ]
    for letter, model in zip(LETTERS, profile.models):
        about = model.about
        lines.append(
            f"{letter}: {model.name}, {about['kind']}; {about['precision']}, ZeRO {about['zero_stage']},"
            f" expert-parallel size {about['ep_size']}, {about['threads']} thread(s) each,"
            f" {about['batch_size']} samples x {about['gradient_accumulation']} for each rank and step;"
            f" weights: {about['weights']}"
        )
        lines.append(f"   data: {about['data']}")
    return lines


def tail_lines(profile: Profile) -> list[str]:
    """Return lines about the method of measurement."""
    effort = profile.effort
    turns = ", in turn for A and B" if len(profile.models) > 1 else ""
    spread = "mean ± standard deviation" if effort.runs > 1 else "one run"
    lines = [] if profile.equality is None else [profile.equality.sentence]
    lines += [
        f"training: {effort.runs} run(s) of {effort.steps} steps after {effort.warm_up}{turns}; {spread}",
        "tokens are those of spectra and SMILES, without padding; a step is one update of all ranks",
        "processor time: of all threads and ranks; other programs on the machine hardly affect it",
        "engine: reduction of gradients, clipping, ZeRO's copies; loop: schedules and agreement of the ranks",
    ]
    if not any(any(model.figures["share/logging"].values) for model in profile.models):
        lines.append("logging: no step of these runs was logged, see training.log_every")
    if any("memory/peak" in model.figures for model in profile.models):
        lines.append(
            f"memory: {profile.environment['memory']}, of the rank that needs most, each model in a process of"
            " its own; kinds peak at different times and do not sum to the peak"
        )
    if profile.max_tokens is not None:
        lines.append(
            f"decoding: {effort.samples} samples of each rank in one batch for samples/s, one alone for the"
            f" latency, at most {profile.max_tokens} tokens"
        )
    return lines


def heads_of(profile: Profile) -> list[str]:
    """Return the heads of the columns."""
    names = [f"{letter}: {model.name}" for letter, model in zip(LETTERS, profile.models)]
    return ["", *names, *(["A/B"] if len(names) > 1 else [])]


def table_rows(profile: Profile) -> list[list[str]]:
    """Return the cells of the table, without rows of figures that were not measured."""
    rows = []
    for row in all_rows(profile.effort.beams):
        if any(row.key in model.figures for model in profile.models):
            cells = [_cell(model.figures, row) for model in profile.models]
            rows.append([row.label, *cells, *_ratio(profile, row)])
    return rows


def _ratio(profile: Profile, row: Row) -> list[str]:
    if len(profile.models) < 2:
        return []
    figure = profile.ratios.get(row.key)
    if figure is None or not row.compared:
        return [""]
    if figure.mean < 0.1:
        return [number(figure.mean, 2)]
    deviation = f"{figure.deviation or 0.0:.2f}"
    return [f"{figure.mean:.2f}" + (f" ± {deviation}" if float(deviation) else "")]


def _cell(figures: Figures, row: Row) -> str:
    figure = figures.get(row.key)
    if figure is None:
        return "-"
    text = number(figure.mean * row.scale)
    deviation = figure.deviation
    if deviation is None or deviation <= 1e-6 * abs(figure.mean):  # counted, nearly the same in every run
        return text
    return f"{text} ± {number(deviation * row.scale, 2)}"


def number(value: float, digits: int = 4) -> str:
    """Format a number with significant digits, without an exponent."""
    if value == 0:
        return "0"
    if abs(value) >= 10 ** (digits - 1):
        return f"{value:,.0f}"
    text = f"{value:.{digits}g}"
    return text if "e" not in text else f"{value:.{digits + 4}f}".rstrip("0")


def to_json(profile: Profile) -> dict[str, Any]:
    """Return the profile as plain values in base units (seconds, bytes, operations, fractions), unrounded."""
    return {
        "environment": dict(profile.environment),
        "effort": asdict(profile.effort),
        "max_tokens": profile.max_tokens,
        "models": [
            {"name": model.name, "about": dict(model.about), "figures": _figures_json(model.figures)}
            for model in profile.models
        ],
        "ratios": _figures_json(profile.ratios),
        "compared": None if profile.equality is None else profile.equality.to_json(),
    }


def _figures_json(figures: Figures) -> dict[str, Any]:
    return {
        key: {"mean": one.mean, "standard_deviation": one.deviation, "values": list(one.values)}
        for key, one in sorted(figures.items())
    }


def write_tensorboard(folder: Path, profile: Profile) -> None:
    """Write the scalars of each model and of the ratios as TensorBoard runs, with a step for each measured run,
    and the whole table as text."""
    from torch.utils.tensorboard import SummaryWriter

    tracks: list[tuple[str, Figures]] = [
        (f"{letter}_{model.name}", model.figures) for letter, model in zip(LETTERS, profile.models)
    ]
    if profile.ratios:
        tracks.append(("A_over_B", profile.ratios))
    for name, figures in tracks:
        with SummaryWriter(str(folder / name)) as writer:
            for key, figure in sorted(figures.items()):
                for step, value in enumerate(figure.values):
                    writer.add_scalar(f"profile_{key}", value, step)
            if name == tracks[0][0]:
                writer.add_text("profile/table", markdown(profile))


def markdown(profile: Profile) -> str:
    """Return head lines, table and notes as Markdown."""
    heads, rows = heads_of(profile), table_rows(profile)
    lines = [*head_lines(profile), "", _pipes(heads), _pipes(["---", *["---:"] * (len(heads) - 1)])]
    lines += [_pipes([row[0].strip(), *row[1:]]) for row in rows]
    return "\n".join([*lines, "", *(f"- {line}" for line in tail_lines(profile))])


def _pipes(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"
