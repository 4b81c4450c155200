"""What a search says of each query: its hits with their molecules, as plain values for tables and files."""

import csv
import json
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa

from mmspec_ds.files import replacing_output
from mmspec_ds.library.search import Hit
from mmspec_ds.library.store import Library

Answer = dict[str, Any]
"""`id`; and `hits`, a list of `rank`, COLUMNS and `parts`, or `error`; perhaps `remarks`."""

MOLECULE = ("smiles", "name", "formula", "block", "accession", "precursor_mz", "adduct", "institute")
COLUMNS = ("score", "q_value", "spectra", *MOLECULE)


def molecules_of_hits(hits: Iterable[Hit], library: Library) -> dict[int, dict[str, Any]]:
    """What the library knows of the molecule of each row that was hit."""
    rows = sorted({hit.row for hit in hits})
    table = library.metadata.select([*MOLECULE, "id"]).take(pa.array(rows, pa.int64()))
    return dict(zip(rows, table.to_pylist()))


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
            **{one: molecules[hit.row][one] for one in MOLECULE},
            "entry": molecules[hit.row]["id"],
            "row": hit.row,
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
