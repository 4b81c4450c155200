"""Whether the names of samples match between the tables of a cohort."""

from collections.abc import Iterable, Sequence

from mmspec_ds.errors import DataError
from mmspec_ds.readers.sample_columns import shortened
from mmspec_ds.systems.fusion.cohort.described import Described


def check_overlap(tables: Sequence[Described]) -> None:
    """Refuse tables that share no sample with any other one: their names are written in different ways.

    Raises:
        DataError: names such a table, or both of two; and says where names would match without case and blanks.
    """
    if len(tables) < 2:
        return
    alone = [
        table
        for table in tables
        if not set(table.samples) & {name for one in tables if one is not table for name in one.samples}
    ]
    if not alone:
        return
    odd = alone[0]
    others = [one for one in tables if one is not odd]
    theirs = list(dict.fromkeys(name for one in others for name in one.samples))
    hint = _nearly(odd.samples, theirs)
    if len(alone) == len(tables):
        named = "; ".join(f"{one.table.path.name} names {shortened(_unique(one.samples), 3)}" for one in tables)
        paths = " and ".join(str(one.table.path) for one in tables)
        raise DataError(f"no two of them share a sample: {named}{hint}", path=paths)
    raise DataError(
        f"shares no sample with another table: it names {shortened(_unique(odd.samples), 3)}, they name"
        f" {shortened(theirs, 3)}{hint}",
        path=odd.table.path,
    )


def _unique(names: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(names))


def _nearly(names: Iterable[str], others: Iterable[str]) -> str:
    """What is told of names that would match without case and blanks; "" if none would."""
    plain = {"".join(name.casefold().split()): name for name in others}
    for name in names:
        other = plain.get("".join(name.casefold().split()))
        if other is not None:
            return f"; without case and blanks {name!r} would match {other!r}"
    return ""
