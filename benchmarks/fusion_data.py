"""Measured MS/MS beside simulated NMR of the same molecules: what fusion's robustness is measured on.

    python benchmarks/fusion_data.py ../shared/data/massbank_msms.parquet --out DIR

Of each molecule the spectrum with the most peaks is taken, and 1H and 13C NMR are simulated with the usual
noise. Writes `train.parquet` and `val.parquet` in the benchmark's schema, the molecules parted as the file says
in `split`. With --test the molecules of `val` go to `test.parquet`, and a tenth of those of `train`, drawn from
the seed, to `val.parquet`. Molecules that cannot be simulated are counted and left out.
"""

import argparse
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np

from mmspec_ds.library.entries import read_entries
from mmspec_ds.library.entry import Entry
from mmspec_ds.progress import ProgressLines
from mmspec_ds.readers.part import Rejected
from mmspec_ds.simulator.simulate import simulate_record
from mmspec_ds.spectra.parquet import write_records
from mmspec_ds.spectra.records import CarbonNMR, HydrogenNMR, Record, TandemMS

SPLITS = ("train", "val")
HELD_BACK = 10
"""With --test one molecule of so many is for validation."""


def richest(path: Path) -> tuple[dict[str, Entry], Counter[str]]:
    """By molecule the entry whose spectrum has the most peaks, and what was left out, by reason."""
    found: dict[str, Entry] = {}
    left: Counter[str] = Counter()
    for item in read_entries([path]):
        if isinstance(item, Rejected) or not item.block or item.record.smiles is None:
            left["spectra without a structure"] += 1
            continue
        known = found.get(item.block)
        if known is None or peaks(item.record) > peaks(known.record):
            found[item.block] = item
    return found, left


def peaks(record: Record) -> int:
    """Peaks of the record's mass spectrum."""
    return max((len(one.mz) for one in record.spectra if isinstance(one, TandemMS)), default=0)


def joined(entries: list[Entry], seed: int, left: Counter[str]) -> Iterator[Record]:
    """Records with the measured spectrum and the simulated ones."""
    for entry in entries:
        assert entry.record.smiles is not None
        try:
            made = simulate_record(entry.record.smiles, seed)
        except ValueError:
            left["molecules whose spectra cannot be simulated"] += 1
            continue
        nmr = tuple(one for one in made.spectra if isinstance(one, HydrogenNMR | CarbonNMR))
        # The schema has a column for each of three energies: the measured one is kept beside.
        masses = tuple(
            replace(one, collision_energy_ev=20.0) for one in entry.record.spectra if isinstance(one, TandemMS)
        )
        yield replace(entry.record, spectra=(*nmr, *masses[:1]))


def counted(records: Iterable[Record], progress: Callable[[int], None]) -> Iterator[Record]:
    """The records; progress is told how many there were."""
    for number, one in enumerate(records, start=1):
        progress(number)
        yield one


def main() -> None:
    """Read, simulate, write."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("massbank", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--molecules", type=int, help="only so many of each split, drawn from the seed")
    parser.add_argument("--test", action="store_true", help="write a third file")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    found, left = richest(options.massbank)
    options.out.mkdir(parents=True, exist_ok=True)
    parts: dict[str, list[Entry]] = {}
    for name in SPLITS:
        entries = [one for one in found.values() if one.metadata.get("split") == name]
        order = np.random.default_rng(options.seed).permutation(len(entries))[: options.molecules]
        parts[name] = [entries[at] for at in order.tolist()]
    if options.test:
        learnt = parts["train"]
        held = len(learnt) // HELD_BACK
        parts = {"train": learnt[held:], "val": learnt[:held], "test": parts["val"]}
    for name, chosen in parts.items():
        with ProgressLines(f"simulating {name}", len(chosen), unit="molecules") as progress:
            records = counted(joined(chosen, options.seed, left), progress.at)
            written = write_records(options.out / f"{name}.parquet", records)
        print(f"{name}: {written:,} molecules")
    for reason, count in left.most_common():
        print(f"left out, {reason}: {count:,}")


if __name__ == "__main__":
    main()
