"""What a search says of each query: its hits with their molecules, as plain values for tables and files."""

import csv
import json
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from mmspec_ds.files import replacing_output
from mmspec_ds.library.metadata import rows_taken
from mmspec_ds.library.ranking import Hit
from mmspec_ds.library.store import Library

Answer = dict[str, Any]
"""`id`; and `hits`, a list of `rank`, COLUMNS, `entry`, `row`, `place`, `asked` and `parts`, or `error`;
perhaps `remarks`. `place` and `asked` say which mass spectra of the entry and of the query are the best pair,
from 0."""

MOLECULE = ("smiles", "name", "formula", "block", "accession", "precursor_mz", "adduct", "institute")
COLUMNS = ("score", "q_value", "spectra", *MOLECULE)


def molecules_of_hits(hits: Iterable[Hit], library: Library) -> dict[int, dict[str, Any]]:
    """What the library knows of each mass spectrum that was hit, by its row, and of its entry: MOLECULE, `id`,
    and `place`, where it is among the mass spectra of the entry, from 0."""
    rows = np.array(sorted({hit.spectrum for hit in hits}), dtype=np.int64)
    entries = library.entry_of[rows]
    table = rows_taken(library.metadata.select([*MOLECULE, "id"]), entries)
    spectra = rows_taken(library.spectra.select(["precursor_mz", "adduct"]), rows)
    places = (rows - library.first[entries]).tolist()
    known = [one | spectrum | {"place": place} for one, spectrum, place in zip(table, spectra, places)]
    return dict(zip(rows.tolist(), known))


def answer_of(
    name: str, hits: Sequence[Hit], molecules: Mapping[int, Mapping[str, Any]], remarks: Sequence[str] = ()
) -> Answer:
    """The answer to one query; `molecules` are those of `molecules_of_hits`. Unknown numbers are None."""
    listed = [
        {
            "rank": rank,
            "score": round(hit.score, 6),
            "q_value": None if hit.q_value is None else round(hit.q_value, 6),
            "spectra": hit.spectra,
            **{one: molecules[hit.spectrum][one] for one in MOLECULE},
            "entry": molecules[hit.spectrum]["id"],
            "row": hit.row,
            "place": molecules[hit.spectrum]["place"],
            "asked": hit.asked,
            "parts": {one: None if math.isnan(part) else round(part, 6) for one, part in hit.parts.items()},
        }
        for rank, hit in enumerate(hits, start=1)
    ]
    return {"id": name, "hits": listed, **({"remarks": list(remarks)} if remarks else {})}


@contextmanager
def answers_file(path: Path | None, parts: Sequence[str]) -> Iterator[Callable[[Answer], object]]:
    """What writes an answer into a file, which appears when all are there: a table if it ends in .csv, else a
    line of JSON for each. Nothing is written where there is no path.

    Args:
        path: of the file.
        parts: of the score, which are columns of the table.

    Raises:
        DataError: it cannot be written.
    """
    if path is None:
        yield lambda answer: None
        return
    with replacing_output(path) as partial, partial.open("w", encoding="utf-8", newline="") as file:
        if path.suffix.lower() != ".csv":
            yield lambda answer: file.write(json.dumps(answer) + "\n")
            return
        names = ["id", "rank", *COLUMNS, "entry", *parts, "error"]
        rows = csv.DictWriter(file, names, extrasaction="ignore", lineterminator="\n")
        rows.writeheader()
        yield lambda answer: rows.writerows(_rows(answer))


def _rows(answer: Answer) -> Iterator[dict[str, Any]]:
    """A row for each hit, or one that says that there is none, and why."""
    for hit in answer.get("hits", []):
        yield {"id": answer["id"], **hit, **hit["parts"]}
    if not answer.get("hits"):
        yield {"id": answer["id"], "error": answer.get("error", "no hit")}
