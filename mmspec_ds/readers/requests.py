"""Requests to a model: a record made of one or several files, or the reason why it cannot be made."""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence, Set
from dataclasses import dataclass, field
from pathlib import Path

from mmspec_ds.errors import DataError
from mmspec_ds.readers.assembly import assemble, shared_metadata
from mmspec_ds.readers.format_registry import find_format, read_file
from mmspec_ds.readers.part import Metadata, Part, Rejected, one_line
from mmspec_ds.readers.read_settings import DEFAULT_SETTINGS, FormatSettings
from mmspec_ds.spectra.records import Modality, Record
from mmspec_ds.spectra.registry import REGISTRY

Answered = Callable[[str], bool]
"""Whether an id was answered before, so that it need not be read again; asked once for each id, in order."""

MOST_REMARKS = 50
"""Of one record: each of a thousand spectra may have some."""


@dataclass(frozen=True, slots=True)
class Source:
    """A file of a record, and the modality to read from it (None: as the file says)."""

    path: Path
    modality: Modality | None = None


@dataclass(frozen=True, slots=True)
class Request:
    """One record to answer, or an error.

    Attributes:
        id: in the answer.
        record: the spectra, if they could be read.
        error: one line if not.
        remarks: what the readers changed, guessed or left out.
        metadata: what else the files say of the record, as far as they agree.
    """

    id: str
    record: Record | None = None
    error: str | None = None
    remarks: tuple[str, ...] = ()
    metadata: Metadata = field(default_factory=dict)


IGNORED = frozenset({Modality.EI})
"""Kinds of spectra that no model reads unless it was trained with them: a record of nothing else is passed
over, as the survey scans of a file are."""


def nothing_answered(_: str) -> bool:
    """No id was answered: for a first run."""
    return False


def requests_of_file(
    path: Path,
    formula: str | None,
    answered: Answered = nothing_answered,
    ignored: Set[Modality] = IGNORED,
) -> Iterator[Request]:
    """Every record of a file, one by one, named "<file name>:<number>"; a fault of the file itself comes last,
    under the file's name. Records that are sound but of no use (a survey scan, `ignored` kinds of spectra) are
    passed over, and so are those that were answered. A formula that contradicts the file is an error of the
    record.
    """
    useful, other = False, ""
    try:
        for item in read_file(path, None, DEFAULT_SETTINGS.with_formula(formula)):
            if isinstance(item, Rejected) and not item.fault:
                other = other or f" ({item.reason})"
                continue
            if isinstance(item, Part) and set(item.modalities) <= ignored:
                other = other or f" ({', '.join(REGISTRY[m].label for m in item.modalities)})"
                continue
            useful = True
            if answered(item.id):
                continue
            if isinstance(item, Rejected):
                yield Request(item.id, error=str(item))
            else:
                yield _of_parts(item.id, [item], formula, item.remarks)
        fault = None if useful else f"{path}: no record with spectra of a kind that is read{other}"
    except DataError as error:
        fault = one_line(error, 400)
    if fault is not None and not answered(path.name):
        yield Request(path.name, error=fault)


def request_of_sources(
    name: str,
    sources: Sequence[Source],
    formula: str | None,
    *,
    stated: Part | None = None,
    unknown_files: bool = False,
    settings: FormatSettings = DEFAULT_SETTINGS,
) -> Request:
    """One record, named `name`, made of all that several files say of a molecule. Its MS/MS spectra are merged
    (`assembly.assemble`) where the `settings` map collision energies, and stay apart otherwise.

    A record of a file that is at fault is left out with a remark, as long as the file has another one. `stated`
    is what else is said of the molecule, and where: a part without spectra. With `unknown_files`, files of no
    known format are left out with a remark instead of refused: a chemist's folder has notes and drawings in it.

    Returns:
        The record, or an error: a file that cannot be read, or parts that contradict each other.
    """
    parts: list[Part] = []
    remarks: list[str] = []
    for source in sources:
        if unknown_files and not _is_known(source.path):
            remarks.append(f"{source.path.name}: left out, of no known format")
            continue
        try:
            known = formula or (stated.formula if stated else None)
            found, more = _parts(source, settings.with_formula(known))
        except DataError as error:
            return Request(name, error=one_line(error, 400), remarks=_limited(remarks))
        parts += found
        remarks += more
    if not parts:
        return Request(name, error="no file with spectra", remarks=_limited(remarks))
    parts = parts if stated is None else [stated, *parts]
    return _of_parts(name, parts, formula, remarks, merge=settings.ms.map_energies)


def _is_known(path: Path) -> bool:
    try:
        find_format(path)
    except DataError:
        return False
    return True


def _parts(source: Source, settings: FormatSettings) -> tuple[list[Part], list[str]]:
    """The parts that a file gives, and the remarks, each with the record it belongs to.

    Raises:
        DataError: the file cannot be read, or none of its records can be used.
    """
    parts: list[Part] = []
    remarks: list[str] = []
    faults: list[str] = []
    others: Counter[str] = Counter()
    for item in read_file(source.path, source.modality, settings):
        if isinstance(item, Part):
            parts.append(item)
            remarks += (f"{item.id}: {remark}" for remark in item.remarks)
        elif item.fault:
            faults.append(str(item))
            remarks.append(f"{item.id}: left out, {item.reason}")
        else:
            others[item.reason] += 1
    if not parts:
        other = f" ({next(iter(others))})" if others else ""
        raise DataError(faults[0] if faults else f"{source.path}: no spectrum of a kind that is read{other}")
    name = source.path.name
    remarks += (f"{name}: passed over {count} x {reason}" for reason, count in others.items())
    return parts, remarks


def _of_parts(
    name: str, parts: Sequence[Part], formula: str | None, remarks: Sequence[str], *, merge: bool = True
) -> Request:
    try:
        record = assemble(parts, record_id=name, formula=formula, merge=merge)
    except DataError as error:
        return Request(name, error=one_line(error, 400), remarks=_limited(remarks))
    return Request(name, record, remarks=_limited(remarks), metadata=shared_metadata(parts))


def _limited(remarks: Sequence[str]) -> tuple[str, ...]:
    once = tuple(dict.fromkeys(remarks))
    if len(once) <= MOST_REMARKS:
        return once
    return (*once[: MOST_REMARKS - 1], f"and {len(once) - MOST_REMARKS + 1} more remarks")
