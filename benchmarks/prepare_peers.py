"""What a data set costs without `mmspec prepare`: plain pandas, a row at a time.

Both peers read as one does with pandas, the whole file, every column. `benchmark_text` makes what the
benchmark's own script makes (Alberts et al. 2024: its text rules, its duplicates, its split, its files of
lines); `tokens` makes what a prepared folder holds, by the same operators, record by record, divided by
InChIKey or as the benchmark does.
"""

from collections.abc import Iterator, Sequence
from math import ceil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from mmspec_ds.molecules.smiles import canonical_smiles, inchikey_block, tokenize_smiles
from mmspec_ds.molecules.splits import draw_of
from mmspec_ds.spectra.modalities import c_nmr, formula, h_nmr, ir
from mmspec_ds.spectra.modalities.ms_file import ms_columns
from mmspec_ds.spectra.records import (
    CarbonNMR,
    HydrogenNMR,
    Infrared,
    Modality,
    Multiplet,
    Record,
    Spectrum,
    TandemMS,
)
from mmspec_ds.spectra.registry import PAPER_MODALITIES, CompressionSettings, compress_records, text_tokens
from mmspec_ds.spectra.rows import SMILES

TEXT_ORDER = (Modality.FORMULA, Modality.H_NMR, Modality.C_NMR, Modality.IR, Modality.MS)


def benchmark_text(files: Sequence[Path], out: Path) -> int:
    """Lines of text for the benchmark's dense model: source and target of train, val and test."""
    parts = []
    for file in files:
        lines = []
        for record in records(file):
            texts = text_tokens(record)
            source = " ".join(word for modality in TEXT_ORDER for word in texts.get(modality, ()))
            assert record.smiles is not None
            lines.append({"source": source, "target": " ".join(tokenize_smiles(record.smiles))})
        parts.append(pd.DataFrame(lines).drop_duplicates(subset="source"))
    data = pd.concat(parts, ignore_index=True)
    rest, test = cut(data, 0.1)
    train, validation = cut(rest, 0.05)
    for name, part in (("train", train), ("val", validation), ("test", test)):
        for column, prefix in (("source", "src"), ("target", "tgt")):
            (out / f"{prefix}-{name}.txt").write_text("".join(f"{line}\n" for line in part[column]))
    return len(data)


def tokens(files: Sequence[Path], out: Path, *, by_inchikey: bool) -> int:
    """The arrays of a prepared folder, in three files."""
    settings, modalities = CompressionSettings(), (*PAPER_MODALITIES, Modality.FORMULA)
    rows = []
    for file in files:
        parsed = list(records(file))
        packed = compress_records(parsed, modalities, settings)
        for at, record in enumerate(parsed):
            assert record.smiles is not None
            smiles = canonical_smiles(record.smiles)
            draw = draw_of(inchikey_block(smiles), 0) / 2**64 if by_inchikey else 0.0
            compressed = {modality: one.subset(np.array([at])) for modality, one in packed.items()}
            rows.append({"smiles": smiles, "words": tokenize_smiles(smiles), "draw": draw} | compressed)
    data = pd.DataFrame(rows).drop_duplicates(subset="smiles")
    if by_inchikey:
        side = np.where(data["draw"] < 0.05, "val", np.where(data["draw"] < 0.15, "test", "train"))
        parts = {str(name): part for name, part in data.groupby(side)}
    else:
        rest, test = cut(data, 0.1)
        train, validation = cut(rest, 0.05)
        parts = {"train": train, "val": validation, "test": test}
    for name, part in parts.items():
        arrays: dict[str, Any] = {
            "smiles": np.array(part["smiles"]),
            "words": np.concatenate(list(part["words"])),
        }
        for modality in modalities:
            arrays[f"{modality.name}.discrete"] = np.concatenate([one.discrete for one in part[modality]])
            arrays[f"{modality.name}.continuous"] = np.concatenate([one.continuous for one in part[modality]])
            arrays[f"{modality.name}.counts"] = np.array([len(one) for one in part[modality]])
        np.savez(out / f"{name}.npz", **arrays)
    return len(data)


def records(file: Path) -> Iterator[Record]:
    """The rows of a file as records, from the objects that pandas makes of its cells."""
    data = pd.read_parquet(file)
    columns = ms_columns(data.columns)
    for number in range(len(data)):
        row = data.iloc[number]
        spectra: list[Spectrum] = [
            HydrogenNMR(tuple(multiplet(cell) for cell in row[h_nmr.COLUMN])),
            CarbonNMR(tuple(float(cell[c_nmr.SHIFT]) for cell in row[c_nmr.COLUMN])),
            Infrared(np.asarray(row[ir.COLUMN], dtype=np.float64)),
        ]
        for column in columns:
            peaks = np.array([list(peak) for peak in row[column.name]])
            spectra.append(TandemMS(peaks[:, 0], peaks[:, 1], column.polarity, float(column.energy_ev)))
        yield Record(f"{file.name}:{number}", tuple(spectra), row[SMILES], row[formula.COLUMN])


def multiplet(cell: dict[str, Any]) -> Multiplet:
    """One signal of a 1H spectrum."""
    couplings = str(cell["j_values"])
    return Multiplet(
        float(cell["centroid"]),
        float(cell["rangeMax"]),
        float(cell["rangeMin"]),
        cell["category"],
        int(cell["nH"]),
        () if couplings == "None" else tuple(float(part) for part in couplings.split("_") if part),
    )


def cut(data: pd.DataFrame, share: float) -> tuple[pd.DataFrame, pd.DataFrame]:
    """All but a random share, and that share, by the benchmark's seed."""
    order = np.random.RandomState(3245).permutation(len(data))  # as scikit-learn does
    size = ceil(share * len(data))
    return data.iloc[order[size:]], data.iloc[order[:size]]
