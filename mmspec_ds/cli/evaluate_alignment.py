"""The part of `mmspec evaluate` for models that answer questions, and for what answers without a model."""

import argparse
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mmspec_ds.cli.common import encoder_folders
from mmspec_ds.errors import ConfigError
from mmspec_ds.progress import ProgressLines

if TYPE_CHECKING:
    from mmspec_ds.systems.alignment.answering.evaluate import Asked
    from mmspec_ds.systems.alignment.encoder import ObjectEncoder
    from mmspec_ds.systems.alignment.objects import Kind
    from mmspec_ds.systems.alignment.trained import Trained

QUESTIONS = ".jsonl"
"""The ending of files of questions."""


def evaluate_alignment(options: argparse.Namespace, models: Sequence[Path]) -> int:
    """Print, and write if asked, the scores of all methods on the same questions; the exit status.

    Args:
        options: of the command.
        models: folders of trained models, all of alignment; none for what answers without.
    """
    from mmspec_ds.systems.alignment.answering.evaluate import (
        all_answers,
        learnt_groups,
        model_methods,
        plain_methods,
        shared_groups,
        trained_types,
    )
    from mmspec_ds.systems.alignment.answering.regressions import Probe
    from mmspec_ds.systems.alignment.answering.report import print_scores, scored, write_scores
    from mmspec_ds.systems.alignment.trained import load_alignment

    asked = _asked(options)
    remarks = [f"{len(asked.test):,} questions; {len(asked.train):,} to learn from"]
    shared = shared_groups(asked)
    if shared:
        remarks.append(
            f"{shared:,} questions are about molecules, proteins or studies that are also trained on"
        )
    methods = plain_methods(asked)
    encoders = _encoders(options.encoders or [])
    if encoders and asked.train:
        methods.append(
            Probe(encoders, asked.train, f"probe of {', '.join(one.name for one in encoders.values())}")
        )
    searches: dict[str, Any] = {}
    loaded: dict[str, Trained] = {}
    for folder in models:
        trained = load_alignment(folder, options.language_model, encoder_folders=encoder_folders(options))
        name = folder.name if len({one.name for one in models}) == len(models) else str(folder)
        loaded[name] = trained
        remarks += _learnt(name, *learnt_groups(trained, asked))
        if asked.train:
            own = {kind: trained.encoder(kind) for kind in trained.kinds}
            methods.append(Probe(own, asked.train, f"probe of the encoders of {name}"))
        if not trained.run.objective.autoregressive:
            given = "no answers" if trained.similar is None else "no answers but descriptions"
            remarks.append(f"{name} gives {given}: it learnt by the contrastive loss alone")
        searches[name] = _searched(trained, replace(asked, train=()) if options.quick else asked, name)
    methods += model_methods(asked, loaded, _told)
    answers = all_answers(methods, asked)
    scores = scored(asked.test, answers, asked.seed, trained_types(asked))
    for remark in remarks:
        print(remark)
    for one in asked.written:
        counts = one.counts()
        print(
            f"{one.name}, all {len(one.rows):,} rows: BLEU-2 {counts.bleu(2):.3f}, BLEU-4 {counts.bleu(4):.3f}"
        )
    print_scores(scores)
    if options.json:
        write_scores(options.json, scores, remarks=remarks, description_search=searches)
    return 0


def _learnt(name: str, count: int, missing: "Sequence[Path]") -> list[str]:
    """Remarks for the report, a sentence each, none to two: how many test questions are about what the model
    learnt from, and that a file of its training is missing."""
    told = (
        [f"{count:,} questions are about molecules, proteins or studies that {name} learnt from"]
        if count
        else []
    )
    if missing:
        told.append(
            f"{name} learnt from {missing[0]}, which is not here: what it has seen of the test is not known"
        )
    return told


def _asked(options: argparse.Namespace) -> "Asked":
    from mmspec_ds.systems.alignment.answering.captions import WrittenDescriptions
    from mmspec_ds.systems.alignment.answering.evaluate import read_asked

    asked = read_asked(options.data, options.examples, options.limit)
    written = tuple(map(WrittenDescriptions, options.captions or []))
    names = [one.name for one in written]
    for name in names:
        if names.count(name) > 1:
            raise ConfigError(f"--captions: two files are named {name}: expected different names")
    return replace(
        asked,
        written=written,
        shots=() if options.quick else (0, 3),
        free=options.free,
    )


def _encoders(names: Sequence[str]) -> "dict[Kind, ObjectEncoder]":
    """Encoders by the kind of objects that they read."""
    from mmspec_ds.systems.alignment.encoders.registry import make_encoder

    found: dict[Kind, ObjectEncoder] = {}
    for name in names:
        made = make_encoder(name)
        if made.kind in found:
            raise ConfigError(f"--encoders: {found[made.kind].name} and {made.name} both read a {made.kind}")
        found[made.kind] = made
    return found


def _searched(trained: "Trained", asked: "Asked", name: str) -> dict[str, Any]:
    """How often objects find their descriptions, printed and in JSON's types by kind of object."""
    from rich.console import Console

    from mmspec_ds.evaluation.score_table import print_rows
    from mmspec_ds.systems.alignment.answering.description_search import search_descriptions

    found = search_descriptions(trained, asked.train, asked.test, asked.seed)
    for kind, rows in found.items():
        heads = [
            "",
            *(f"{what} R@{k} %" for what in ("description", "object", "chance") for k in rows[0].chance),
        ]
        table = [[one.method, *map(_per_cent, one.figures())] for one in rows]
        print_rows(heads, table, f"{name}: a {kind} and its description", Console())
    return {kind: [one.to_json() for one in rows] for kind, rows in found.items()}


def _per_cent(share: float) -> str:
    return f"{100 * share:.1f}"


@contextmanager
def _told(what: str, total: int) -> Iterator[Callable[[int], None]]:
    with ProgressLines(what, total, unit="questions") as progress:
        yield progress.at
