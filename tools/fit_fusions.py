"""Fit the fusions that come with the package, `mmspec_ds/library/fusions.json`.

    python tools/fit_fusions.py massbank_msms.parquet massbank_ei.parquet

The files are MassBank records with columns `split` (train is used), `role` (query, library) and `license`. Only
records under a licence that allows it are used, as queries and as entries. Of a kind of spectrum with too few
such queries there is no fusion.
"""

import argparse
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from mmspec_ds.library.entries import read_entries
from mmspec_ds.library.entry import Entry
from mmspec_ds.library.fusion import SHIPPED, Fusion, Kind, fit_fusion, write_fusions
from mmspec_ds.library.fusion_pairs import pairs_of
from mmspec_ds.library.prepared import ADDUCT, CONDITION_PARTS, SPECTRAL_PARTS
from mmspec_ds.library.references import conditions_of, mass_spectra, references_of_entries
from mmspec_ds.library.search import Searcher, SearchSettings
from mmspec_ds.readers.part import Rejected

LICENCES = ("CC0", "CC BY", "dl-de/by-2-0")
FEWEST, MOST = 300, 1500
"""Queries of a kind."""
OF_A_WINDOW = (*SPECTRAL_PARTS, *CONDITION_PARTS)
WITHOUT_A_WINDOW = (*SPECTRAL_PARTS, ADDUCT)
"""Polarity and energy do not help among entries of any precursor."""


def free_entries(paths: Iterable[Path]) -> list[Entry]:
    """The records of the training molecules whose licence allows a fit that is given to others."""
    found = read_entries(list(paths), where={"split": "train"})
    return [one for one in found if not isinstance(one, Rejected) and one.metadata.get("licence") in LICENCES]


def fit(entries: list[Entry], kind: str, *, open_search: bool) -> Fusion | None:
    """A fusion for a kind of spectrum, or None where there are too few queries."""
    chosen = [one for one in entries if {conditions_of(s).kind for s in mass_spectra(one.record)} == {kind}]
    library = [one for one in chosen if one.metadata.get("role") == "library"]
    there = {one.block for one in library}
    queries = [one for one in chosen if one.metadata.get("role") == "query" and one.block in there]
    print(f"{kind}: {len(library):,} entries, {len(queries):,} queries")
    if len(queries) < FEWEST:
        return None
    order = np.random.default_rng(0).permutation(len(queries))[:MOST]
    settings = SearchSettings(precursor_ppm=None if open_search else 10.0, decoys=0)
    searcher = Searcher(references_of_entries(library), settings, fusions=())
    parts, same, query = pairs_of(searcher, [queries[at] for at in order], [one.block for one in library])
    wanted = WITHOUT_A_WINDOW if open_search else OF_A_WINDOW
    source = (
        f"MassBank 2025.05.1, records under {', '.join(LICENCES)}: {len(order):,} queries of training molecules"
        f" against {len(library):,} entries"
    )
    used = {name: part for name, part in parts.items() if name in wanted}
    which: Kind = "ei" if kind == "ei" else "ms"
    return fit_fusion(used, same, kind=which, open_search=open_search, source=source, query=query)


def main() -> None:
    """Fit and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", type=Path, nargs="+")
    entries = free_entries(parser.parse_args().files)
    wanted = (("ms", False), ("ms", True), ("ei", True))
    fusions = [fit(entries, kind, open_search=open_search) for kind, open_search in wanted]
    write_fusions(SHIPPED, [one for one in fusions if one is not None])


if __name__ == "__main__":
    main()
