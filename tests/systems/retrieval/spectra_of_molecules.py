"""Made spectra of a few molecules: those of one molecule share most of their peaks."""

from pathlib import Path

import numpy as np

from mmspec_ds.library.entry import Entry
from mmspec_ds.molecules.smiles import inchikey_block
from mmspec_ds.spectra.records import Record, TandemMS

SMILES = (
    *("CCO", "CCCO", "CCCCO", "CC(C)O", "c1ccccc1O", "Cc1ccccc1", "CC(=O)O", "CCC(=O)O", "CCN", "CCCN"),
    *("CC(=O)C", "CCOC(C)=O", "c1ccncc1", "C1CCCCC1", "CC#N", "CCCl", "OCC(O)CO", "NCC(=O)O", "CSC", "CCBr"),
)


def make_entries(molecules: int = 20, spectra: int = 3, seed: int = 0) -> list[Entry]:
    """Entries of `molecules` molecules with `spectra` spectra each; every fourth molecule is of the split
    val."""
    rng = np.random.default_rng(seed)
    entries = []
    for number, smiles in enumerate(SMILES[:molecules]):
        peaks = np.sort(rng.uniform(50, 300, 8))
        for turn in range(spectra):
            mz = np.sort(np.concatenate([peaks[rng.permutation(8)[:6]], rng.uniform(50, 300, 2)]))
            spectrum = TandemMS(mz, rng.uniform(0.05, 1.0, 8), precursor_mz=310.0 + number, adduct="[M+H]+")
            record = Record(f"{number}:{turn}", (spectrum,), smiles)
            split = "val" if number % 4 == 3 else "train"
            entries.append(Entry(record, inchikey_block(smiles), {"split": split, "role": "library"}))
    return entries


def write_mgf(path: Path, entries: list[Entry]) -> Path:
    """The entries as a file."""
    blocks = []
    for entry in entries:
        (spectrum,) = entry.record.spectra
        assert isinstance(spectrum, TandemMS)
        lines = [
            f"TITLE={entry.record.id}",
            f"SMILES={entry.record.smiles}",
            f"PEPMASS={spectrum.precursor_mz}",
        ]
        lines += ["CHARGE=1+", "IONMODE=positive", *(f"{k.upper()}={v}" for k, v in entry.metadata.items())]
        lines += [f"{mz:.4f} {height:.5f}" for mz, height in zip(spectrum.mz, spectrum.intensity)]
        blocks.append("\n".join(["BEGIN IONS", *lines, "END IONS", ""]))
    path.write_text("\n".join(blocks))
    return path
