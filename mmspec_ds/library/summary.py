"""What a library holds, in a few lines."""

from collections import Counter
from collections.abc import Sequence

import numpy as np

from mmspec_ds.library.layout import length_of
from mmspec_ds.library.metadata import MASS_SPECTRA
from mmspec_ds.library.store import Library
from mmspec_ds.spectra.registry import REGISTRY

_SHOWN = 4
"""Institutes and licences that are named, the most frequent first."""


def summary_lines(library: Library) -> list[str]:
    """Lines for a reader: entries and molecules, kinds of spectra, where they come from, models and indexes."""
    blocks = [one for one in library.metadata["block"].to_pylist() if one]
    unknown = len(library) - len(blocks)
    head = f"{library.path}: {len(library):,} entries of {len(set(blocks)):,} molecules"
    rows = [("spectra", _kinds(library))]
    known_mz = library.by_precursor[1]
    if len(known_mz):
        told = f"{len(known_mz):,} known, m/z {known_mz[0]:.4f} to {known_mz[-1]:.4f}"
        rows.append(("precursors", told))
    for label, column in (("institutes", "institute"), ("licences", "licence")):
        found = _most_frequent(library.metadata[column].to_pylist())
        rows += [(label, found)] if found else []
    rows.append(("additions", ", ".join(f"{part['entries']:,}" for part in library.manifest["parts"])))
    rows += [("model", line) for line in _models(library)]
    rows.append(("size", f"{_bytes(library) / 1e6:,.1f} MB"))
    width = max(len(label) for label, _ in rows)
    return [
        head + (f", {unknown:,} of them without a structure" if unknown else ""),
        *(f"  {label:{width}}  {text}" for label, text in rows),
    ]


def _kinds(library: Library) -> str:
    """The number of spectra of each kind, all of an entry's; of MS/MS how many of each polarity."""
    found = []
    for name, spectrum in MASS_SPECTRA.items():
        of_kind = library.kinds == name
        if of_kind.any():
            text = f"{np.count_nonzero(of_kind):,} {REGISTRY[spectrum.modality].label}"
            signs = [(np.count_nonzero(library.polarity[of_kind] == sign), sign) for sign in (1, -1)]
            told = [f"{count:,} {'positive' if sign > 0 else 'negative'}" for count, sign in signs if count]
            found.append(text + (f" ({', '.join(told)})" if told else ""))
    apart = sum(one["spectra"] for part in library.manifest["parts"] for one in part["further"])
    found += [f"{apart:,} of other kinds"] if apart else []
    return ", ".join(found)


def _most_frequent(values: Sequence[str | None]) -> str:
    counts = Counter(one for one in values if one)
    shown = [f"{name} {count:,}" for name, count in counts.most_common(_SHOWN)]
    others = len(counts) - len(shown)
    shown += [f"{others} more"] if others else []
    return ", ".join(shown)


def _models(library: Library) -> list[str]:
    """A line for each model: what it is, and how its vectors are searched."""
    found = []
    for one in library.manifest["embedders"]:
        index = library.manifest["indexes"].get(one["name"])
        how = "all are compared"
        if index is not None:
            how = (
                f"index of {index['lists']:,} lists of which {index['nprobe']} are looked at,"
                f" recall at 10 {index['recall']:.4f}"
            )
            outside = len(library) - index["rows"]
            how += f", {outside:,} compared besides" if outside else ""
        found.append(f"{one['name']} {one['identity'][:12]}, width {one['width']}: {how}")
    return found


def _bytes(library: Library) -> int:
    """The valid bytes of all files."""
    arrays = sum(length_of(library.manifest, name) for name in library.manifest["arrays"])
    return arrays + sum(one["bytes"] for one in library.manifest["files"].values())
