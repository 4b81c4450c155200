"""Simulated data sets: molecules, their spectra, and three files in the benchmark's schema."""

import hashlib
import os
import shutil
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Self

import numpy as np
from pydantic import Field, model_validator
from rdkit import Chem
from rdkit.Chem.rdMolDescriptors import CalcMolFormula

from mmspec_ds.errors import ConfigError
from mmspec_ds.processes import ordered_map, this_machine
from mmspec_ds.settings import Settings
from mmspec_ds.simulator.csp5_shifts import csp5_shifts, require_csp5
from mmspec_ds.simulator.enumeration import MIN_HEAVY_ATOMS
from mmspec_ds.simulator.environments import surroundings
from mmspec_ds.simulator.infrared import infrared
from mmspec_ds.simulator.listed import listed
from mmspec_ds.simulator.nmr import (
    AssignedMultiplet,
    assigned_multiplets,
    carbon_nmr,
    exchangeable_singles,
    hsqc,
)
from mmspec_ds.simulator.noise import add_noise, molecule_generator, multiplet_errors
from mmspec_ds.simulator.noise_settings import NoiseSettings
from mmspec_ds.simulator.parts import TEST, VALIDATION, Molecule, SplitRule, divided, with_blocks
from mmspec_ds.simulator.shifts import AtomShifts, MoleculeShifts, ShiftSource, scattered, table_shifts
from mmspec_ds.simulator.smiles_file import simulable_molecule
from mmspec_ds.simulator.sources import Progress, enumerated, from_file, from_pieces, is_held_out
from mmspec_ds.simulator.tandem import tandem_spectra
from mmspec_ds.spectra.parquet import write_records
from mmspec_ds.spectra.records import HydrogenNMR, Record, Spectrum

_PARTIAL = ".partial-"
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
    split: SplitRule = Field(
        default="inchikey", description="what is never in two files: an InChIKey's first block, or a scaffold"
    )
    validation: float = Field(default=VALIDATION, ge=0, lt=1)
    test: float = Field(default=TEST, ge=0, lt=1)
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
    told how many there are). No skeleton is in two files, or no scaffold (see `parts.divided`). The files
    appear together at the end. The records do not depend on the number of workers. Memory holds the SMILES of
    all molecules and the records of one row group.

    Raises:
        DataError: a line of the SMILES file cannot be used and `skip_invalid` is off, or a process ended early.
        ConfigError: there are too few molecules for the three files, or fewer than `molecules` exist, or shifts
            are to come from `csp5` and it is not installed.
    """
    settings = SimulationSettings() if settings is None else settings
    if settings.shifts == "csp5":
        require_csp5()
    molecules, skipped = _molecules(settings, smiles_file, skip_invalid, workers, gathering)
    parts = divided(molecules, settings.split, settings.validation, settings.test, workers)
    for name, part in parts.items():
        if not part:
            raise ConfigError(f"{len(molecules)} molecules leave none for {name}.parquet: ask for more")
    out, files = Path(out_dir), {}
    out.mkdir(parents=True, exist_ok=True)
    make = partial(simulate_record, seed=settings.seed, noise=settings.noise, shifts=settings.shifts)
    order = [smiles for part in parts.values() for smiles in part]
    simulated = ordered_map(make, order, workers, task="simulates", chunk=CHUNK)
    _sweep(out)
    with TemporaryDirectory(prefix=_partial_name(os.getpid()), dir=out) as scratch, closing(simulated):
        records = _counted(simulated, len(order), progress)
        for name, part in parts.items():
            target = Path(scratch) / f"{name}.parquet"
            files[out / target.name] = write_records(target, islice(records, len(part)))
        for path in files:
            os.replace(Path(scratch) / path.name, path)
    return SimulationSummary(files, skipped)


def _molecules(
    settings: SimulationSettings,
    smiles_file: Path | str | None,
    skip_invalid: bool,
    workers: int,
    progress: Progress | None,
) -> tuple[list[Molecule], dict[str, int]]:
    """The molecules in seeded order, so that the first ones are a fair sample; lines left out by reason."""
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
        molecules = [Molecule(*pair) for pair in blocks.items()]
    elif smiles_file is not None:
        blocks, skipped = from_file(smiles_file, skip_invalid)
        molecules = [Molecule(*pair) for pair in blocks.items()]
    else:
        # Molecules that are held out are left out before the order is drawn: such lists are not shipped.
        shipped = None if settings.hold_out else listed(*wanted)
        if shipped is not None:
            return [Molecule(one.smiles, file=one.file) for one in shipped], skipped
        molecules = [Molecule(*pair) for pair in enumerated(*wanted).items()]
    if settings.hold_out:
        known = with_blocks(molecules, workers)
        molecules = [one for one in known if not is_held_out(one.block or "", settings.hold_out)]
        if len(molecules) < len(known):
            skipped["held out"] = len(known) - len(molecules)
    order = np.random.default_rng([settings.seed, 7]).permutation(len(molecules))
    return [molecules[index] for index in order], skipped


def _partial_name(process: int) -> str:
    """How the folder of unfinished files of a process begins. It names the machine too: another one that shares
    the folder has other processes of the same numbers."""
    machine = hashlib.sha256(this_machine().encode()).hexdigest()[:12]
    return f"{_PARTIAL}{machine}-{process}-"


def _sweep(out: Path) -> None:
    """Remove what killed processes of this machine have left behind. What those of other machines, or older
    versions, have left stays: from here nobody can see whether they are still at work."""
    for leftover in out.glob(f"{_PARTIAL}*-*-*"):
        process = leftover.name.split("-")[2]
        if not process.isdecimal() or not leftover.name.startswith(_partial_name(int(process))):
            continue
        try:
            os.kill(int(process), 0)
        except (ProcessLookupError, OverflowError):
            shutil.rmtree(leftover, ignore_errors=True)
        except PermissionError:
            continue  # still at work, and another user's


def _counted(records: Iterator[Record], total: int, progress: Progress | None) -> Iterator[Record]:
    for done, record in enumerate(records, start=1):
        if progress is not None:
            progress(done, total)
        yield record
