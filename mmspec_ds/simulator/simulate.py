"""Simulated data sets: molecules, their spectra, and three files in the benchmark's schema."""

import os
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from hashlib import sha256
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Self

import numpy as np
from pydantic import Field, model_validator
from rdkit import Chem
from rdkit.Chem.rdMolDescriptors import CalcMolFormula

from mmspec_ds.errors import ConfigError
from mmspec_ds.processes import ordered_map
from mmspec_ds.settings import Settings
from mmspec_ds.simulator.csp5_shifts import csp5_shifts, require_csp5
from mmspec_ds.simulator.enumeration import MIN_HEAVY_ATOMS
from mmspec_ds.simulator.environments import surroundings
from mmspec_ds.simulator.infrared import infrared
from mmspec_ds.simulator.nmr import (
    AssignedMultiplet,
    assigned_multiplets,
    carbon_nmr,
    exchangeable_singles,
    hsqc,
)
from mmspec_ds.simulator.noise import NoiseSettings, add_noise, molecule_generator, multiplet_errors
from mmspec_ds.simulator.shifts import AtomShifts, MoleculeShifts, ShiftSource, scattered, table_shifts
from mmspec_ds.simulator.smiles_file import simulable_molecule
from mmspec_ds.simulator.sources import Progress, enumerated, from_file, from_pieces, is_held_out
from mmspec_ds.simulator.tandem import tandem_spectra
from mmspec_ds.spectra.parquet import write_records
from mmspec_ds.spectra.records import HydrogenNMR, Record, Spectrum

CHUNK = 16
"""Molecules that a process takes at a time: 0.2 s of work, and a result of 0.3 MB."""


class SimulationSettings(Settings):
    """What to simulate. `validation` and `test` are shares of the molecules; with 0 the file is not written."""

    molecules: int = Field(default=15_000, ge=1, description="molecules to enumerate or make from pieces")
    max_heavy_atoms: int = Field(default=8, ge=MIN_HEAVY_ATOMS, description="size of the largest of them")
    fragments: bool = Field(default=False, description="make molecules from pieces of those in a SMILES file")
    hold_out: str = Field(
        default="", description="leave out the molecules whose block hashes to 0 mod 10 after this salt"
    )
    seed: int = Field(default=0, ge=0, description="seed of the enumeration and of the noise")
    validation: float = Field(default=0.04, ge=0, lt=1)
    test: float = Field(default=0.06, ge=0, lt=1)
    shifts: ShiftSource = Field(default="table", description="`table`, or the optional package `csp5`")
    noise: NoiseSettings = NoiseSettings()

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.validation + self.test >= 1:
            raise ValueError(f"validation {self.validation} and test {self.test} leave nothing to train on")
        return self


@dataclass(frozen=True)
class SimulationSummary:
    """The number of molecules in each written file, and of lines left out of a SMILES file, by reason."""

    files: dict[Path, int]
    skipped: dict[str, int]


def simulate_record(
    smiles: str, seed: int = 0, noise: NoiseSettings | None = None, shifts: ShiftSource = "table"
) -> Record:
    """All spectra of one molecule: 1H, 13C with attached hydrogens, IR, MS/MS in both polarities at 10, 20 and
    40 eV, and HSQC.

    Stereochemistry is dropped. The noise (the default one unless given) depends on `seed` and the molecule
    alone. Errors of the shifts are those of the sample: HSQC shares them with the 1H and 13C spectra and adds
    small ones of its own. With `shifts` "csp5", molecules that get no geometry have shifts from the table.

    Raises:
        ValueError: the SMILES is not a valid structure, or several molecules, or has no hydrogen on carbon.
        ConfigError: `shifts` is "csp5" and that package is not installed.
    """
    noise = NoiseSettings() if noise is None else noise
    mol = simulable_molecule(smiles)
    canonical = Chem.MolToSmiles(mol)
    around = surroundings(mol)
    random = molecule_generator(seed, canonical)
    predicted = csp5_shifts([mol])[0] if shifts == "csp5" else None
    carbon_ppm, assigned = _positions(mol, predicted or table_shifts(mol, around), noise, random)
    one_dimensional: list[Spectrum] = [
        HydrogenNMR(tuple(one.multiplet for one in assigned)),
        carbon_nmr(mol, carbon_ppm),
        infrared(mol, around),
        *tandem_spectra(mol),
    ]
    # HSQC has the last stream: seeds give the other spectra that they gave before there was an HSQC.
    streams = random.spawn(len(one_dimensional) + 1)
    errors = multiplet_errors(len(assigned), noise, streams[0])
    cross_peaks = hsqc(mol, carbon_ppm, assigned, errors.tolist())
    # The errors of 13C shifts were drawn before fluorine split the lines.
    spectra = add_noise(
        [*one_dimensional, cross_peaks], noise.model_copy(update={"carbon_ppm": 0.0}), streams, errors
    )
    return Record(id=canonical, spectra=spectra, smiles=canonical, formula=CalcMolFormula(mol))


def _positions(
    mol: Chem.Mol, predicted: MoleculeShifts, noise: NoiseSettings, random: np.random.Generator
) -> tuple[AtomShifts, list[AssignedMultiplet]]:
    """13C shifts with their errors, and 1H multiplets without the exchangeable hydrogens that are not seen.

    A carbon's error is drawn before fluorine splits its line: the lines of a multiplet move together. Errors
    of 1H multiplets are drawn later, so they do not change which hydrogens couple.
    """
    of_carbon, of_hydrogen, of_exchange = random.spawn(3)
    carbon = scattered(mol, predicted.carbon, noise.carbon_ppm, noise.shift_spread, of_carbon)
    hydrogen = scattered(mol, predicted.hydrogen, 0.0, noise.shift_spread, of_hydrogen)
    exchangeable = exchangeable_singles(mol)
    missed = of_exchange.random(len(exchangeable)) < noise.missing_exchangeable
    unseen = frozenset(atom for atom, miss in zip(exchangeable, missed) if miss)
    return carbon, assigned_multiplets(mol, hydrogen, unseen)


def simulate_dataset(
    out_dir: Path | str,
    settings: SimulationSettings | None = None,
    *,
    smiles_file: Path | str | None = None,
    skip_invalid: bool = False,
    workers: int = 1,
    progress: Progress | None = None,
    gathering: Progress | None = None,
) -> SimulationSummary:
    """Write `train.parquet`, `val.parquet` and `test.parquet` in the benchmark's schema.

    The molecules are enumerated, or read from `smiles_file`, or made from pieces of those in it (`gathering` is
    told how many there are). The file of a molecule follows from the hash of the first block of its InChIKey,
    so no skeleton is in two files, whatever else is simulated. The files appear together at the end. The
    records do not depend on the number of workers. Memory holds the SMILES of all molecules and the records of
    one row group.

    Raises:
        DataError: a line of the SMILES file cannot be used and `skip_invalid` is off, or a process ended early.
        ConfigError: there are too few molecules for the three files, or fewer than `molecules` exist, or shifts
            are to come from `csp5` and it is not installed.
    """
    settings = SimulationSettings() if settings is None else settings
    if settings.shifts == "csp5":
        require_csp5()
    blocks, skipped = _molecules(settings, smiles_file, skip_invalid, workers, gathering)
    parts = _split(blocks, settings)
    for name, part in parts.items():
        if not part:
            raise ConfigError(f"{len(blocks)} molecules leave none for {name}.parquet: ask for more")
    out, files = Path(out_dir), {}
    out.mkdir(parents=True, exist_ok=True)
    make = partial(simulate_record, seed=settings.seed, noise=settings.noise, shifts=settings.shifts)
    order = [smiles for part in parts.values() for smiles in part]
    simulated = ordered_map(make, order, workers, task="simulates", chunk=CHUNK)
    with TemporaryDirectory(prefix=".partial-", dir=out) as scratch, closing(simulated):
        records = _counted(simulated, len(order), progress)
        for name, part in parts.items():
            target = Path(scratch) / f"{name}.parquet"
            files[out / target.name] = write_records(target, islice(records, len(part)))
        for path in files:
            os.replace(Path(scratch) / path.name, path)
    return SimulationSummary(files, skipped)


def part_of(block: str, validation: float, test: float) -> str:
    """`train`, `val` or `test` for the first block of an InChIKey, in the given shares."""
    draw = int.from_bytes(sha256(block.encode()).digest()[:8], "big") / 2**64
    return "test" if draw < test else "val" if draw < test + validation else "train"


def _molecules(
    settings: SimulationSettings,
    smiles_file: Path | str | None,
    skip_invalid: bool,
    workers: int,
    progress: Progress | None,
) -> tuple[dict[str, str], dict[str, int]]:
    """SMILES to InChIKey block, in seeded order: the first molecules of a file are a fair sample of it."""
    skipped: dict[str, int] = {}
    wanted = (settings.molecules, settings.max_heavy_atoms, settings.seed)
    if settings.fragments:
        if smiles_file is None:
            raise ConfigError("fragments need a SMILES file whose molecules are cut")
        blocks, skipped = from_pieces(
            smiles_file,
            *wanted,
            hold_out=settings.hold_out,
            skip_invalid=skip_invalid,
            workers=workers,
            progress=progress,
        )
    elif smiles_file is not None:
        blocks, skipped = from_file(smiles_file, skip_invalid)
    else:
        blocks = enumerated(*wanted)
    pairs = [pair for pair in blocks.items() if not is_held_out(pair[1], settings.hold_out)]
    if len(pairs) < len(blocks):
        skipped["held out"] = len(blocks) - len(pairs)
    order = np.random.default_rng([settings.seed, 7]).permutation(len(pairs))
    return dict(pairs[index] for index in order), skipped


def _split(blocks: dict[str, str], settings: SimulationSettings) -> dict[str, list[str]]:
    wanted = {"train": 1.0, "val": settings.validation, "test": settings.test}
    parts: dict[str, list[str]] = {name: [] for name, share in wanted.items() if share}
    for smiles, block in blocks.items():
        parts[part_of(block, settings.validation, settings.test)].append(smiles)
    return parts


def _counted(records: Iterator[Record], total: int, progress: Progress | None) -> Iterator[Record]:
    for done, record in enumerate(records, start=1):
        if progress is not None:
            progress(done, total)
        yield record
