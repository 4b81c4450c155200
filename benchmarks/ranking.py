"""Measured molecules ranked among others of their formula: by predicted spectra, by a model, and by both.

    python benchmarks/ranking.py DATA                        # prediction alone
    python benchmarks/ranking.py DATA --model starter        # a folder of a model as well
    python benchmarks/ranking.py DATA --isomers 50           # fill up short lists with edited structures

The molecules are those of experimental_ms_nmr.parquet. Their rivals are all molecules of the same formula in
MassBank, nmrshiftdb2, MOSES and CASCADE, once by InChIKey first block (so without stereochemistry). Molecules
with fewer than five candidates in all are left out; of more than --most, a seeded sample is taken. With
--isomers, shorter lists are filled up with isomers that are one to three edits away from the right molecule
(`mmspec_ds/simulator/isomers.py`), as far as there are any.

Ties count as all their orders do: two candidates level at the top are half a Top-1. "chance" is a drawn order,
"shuffled" the spectra of another molecule of the test. "unknown" are the molecules that are not in CASCADE, on
which the table of shifts was fitted. The multiplicities of measured 13C lines may have been told from the
assigned structure and not from DEPT, so figures without them stand beside. Figures are printed, and appended to
results/ranking.csv.
"""

import argparse
import csv
import random
import time
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import numpy as np
from measured_molecules import read_smiles
from rdkit import Chem, rdBase
from rdkit.Chem.rdMolDescriptors import CalcMolFormula
from runner import RESULTS, commit

from mmspec_ds.evaluation.reliability import reliability
from mmspec_ds.molecules.smiles import inchikey_block
from mmspec_ds.progress import ProgressLines
from mmspec_ds.readers.candidate_list import Sifted, read_suspects
from mmspec_ds.readers.measured import read_measured
from mmspec_ds.readers.part import Part
from mmspec_ds.simulator.isomers import edited_isomers
from mmspec_ds.spectra.records import CarbonNMR, FloatArray, Modality, Record
from mmspec_ds.spectra.registry import REGISTRY
from mmspec_ds.systems.elucidation.likelihood import Likelihood
from mmspec_ds.systems.elucidation.rank import model_evidence, rank, spelling_log_probabilities
from mmspec_ds.systems.elucidation.trained import TrainedModel, load_model
from mmspec_ds.verification.error_models import ErrorModels
from mmspec_ds.verification.verifier import Verdict, Verifier

TEST, CASCADE = "experimental_ms_nmr.parquet", "cascade_assigned_shifts.parquet"
RIVALS = ("massbank_msms.parquet", "nmrshiftdb2_shifts.parquet", "moses_100k.smi.gz", CASCADE)
FEWEST = 5
H, C, MS = Modality.H_NMR, Modality.C_NMR, Modality.MS


class Row(NamedTuple):
    """Molecules with the spectra `needs`, ranked by the spectra `uses`, with or without multiplicities."""

    name: str
    needs: frozenset[Modality]
    uses: frozenset[Modality]
    multiplicities: bool = True


ROWS = (
    Row("13C shifts", frozenset({C}), frozenset({C}), multiplicities=False),
    Row("13C", frozenset({C}), frozenset({C})),
    Row("13C and all else measured", frozenset({C}), frozenset({H, C, MS})),
    Row("1H + 13C shifts", frozenset({H, C}), frozenset({H, C}), multiplicities=False),
    Row("1H + 13C", frozenset({H, C}), frozenset({H, C})),
    Row("1H + 13C + MS", frozenset({H, C}), frozenset({H, C, MS})),
    Row("MS", frozenset({MS}), frozenset({MS})),
)


@dataclass(frozen=True)
class Case:
    """A measured record, its candidates of which the first is right, and whether that one is in CASCADE."""

    record: Record
    candidates: tuple[str, ...]
    in_table: bool

    @property
    def measured(self) -> frozenset[Modality]:
        """The kinds of its spectra."""
        return frozenset(spectrum.modality for spectrum in self.record.spectra)


@dataclass
class Figures:
    """Top-1 and reciprocal rank of each case, and the first candidate's share in the softmax of the scores."""

    top_1: list[float] = field(default_factory=list)
    reciprocal: list[float] = field(default_factory=list)
    shares: list[float] = field(default_factory=list)

    def add(self, scores: FloatArray) -> None:
        """The scores of a case's candidates, the right one first."""
        above, level = int((scores > scores[0]).sum()), int((scores == scores[0]).sum())
        self.top_1.append(0.0 if above else 1 / level)
        self.reciprocal.append(float(np.mean(1 / (above + np.arange(1, level + 1)))))
        best = scores.max()
        self.shares.append(
            float(np.exp(best - np.logaddexp.reduce(scores))) if np.isfinite(best) else 1 / level
        )

    @property
    def calibration_error(self) -> float:
        """How far the shares are from the truth, in the mean, if they are taken for probabilities."""
        return reliability(self.shares, [one == 1 for one in self.top_1]).error

    def __str__(self) -> str:
        return f"{np.mean(self.top_1):.3f} / {np.mean(self.reciprocal):.3f}  {self.calibration_error:.3f}"


def read_cases(data: Path, options: argparse.Namespace) -> list[Case]:
    """The test molecules with their candidates."""
    parts = [part for part in read_measured(data / TEST) if isinstance(part, Part) and part.smiles]
    if options.molecules < len(parts):
        parts = random.Random(options.seed).sample(parts, options.molecules)
    pool, in_table = read_pool(data, {_formula(part.smiles or "") for part in parts})
    cases = [make_case(part, pool, in_table, options) for part in parts]
    return [case for case in cases if len(case.candidates) >= FEWEST]


def read_pool(data: Path, wanted: set[str]) -> tuple[dict[str, dict[str, str]], set[str]]:
    """The molecules of all sources by formula and InChIKey block, and the blocks of those in CASCADE."""
    pool: dict[str, dict[str, str]] = defaultdict(dict)
    in_table: set[str] = set()
    for source in (TEST, *RIVALS):
        for smiles in dict.fromkeys(read_smiles(data / source)):
            plain = _plain(smiles)
            formula = _formula(plain)
            if formula in wanted:
                block = inchikey_block(plain)
                pool[formula].setdefault(block, plain)
                if source == CASCADE:
                    in_table.add(block)
    return pool, in_table


def make_case(
    part: Part, pool: dict[str, dict[str, str]], in_table: set[str], options: argparse.Namespace
) -> Case:
    """A test molecule, its rivals in the pool and, where they are too few, among edited structures."""
    right = _plain(part.smiles or "")
    block, formula = inchikey_block(right), _formula(right)
    rivals = [smiles for other, smiles in pool[formula].items() if other != block]
    draw = random.Random(f"{options.seed} {block}")
    if len(rivals) >= options.most:
        rivals = draw.sample(rivals, options.most - 1)
    if len(rivals) + 1 < options.isomers:
        rivals = edited(right, rivals, options.isomers, draw)
    record = Record(part.id, part.spectra, None, formula)
    return Case(record, (right, *rivals), block in in_table)


def edited(right: str, rivals: Sequence[str], count: int, draw: random.Random) -> list[str]:
    """The rivals, and isomers near to the right molecule, until there are `count` candidates with it."""
    blocks = {inchikey_block(smiles) for smiles in (right, *rivals)}
    found = list(rivals)
    for smiles in edited_isomers(right, draw):
        if len(found) + 1 >= count:
            break
        block = inchikey_block(smiles)
        if block not in blocks:
            blocks.add(block)
            found.append(smiles)
    return found


def _plain(smiles: str) -> str:
    """The SMILES without stereochemistry and atom maps."""
    with rdBase.BlockLogs():
        mol = Chem.MolFromSmiles(smiles)
    if mol is None:
        return ""
    for atom in mol.GetAtoms():
        atom.SetAtomMapNum(0)
    return str(Chem.MolToSmiles(mol, isomericSmiles=False))


def _formula(smiles: str) -> str:
    mol = Chem.MolFromSmiles(smiles) if smiles else None
    return str(CalcMolFormula(mol)) if mol is not None else ""


class Judge:
    """Scores of candidates by any of the spectra of a record; higher is better.

    Args:
        trained: a model to ask as well.
    """

    def __init__(self, record: Record, candidates: Sequence[str], trained: TrainedModel | None) -> None:
        self._record, self._candidates, self._trained = record, candidates, trained
        self._verdicts: dict[tuple[bool, bool], list[Verdict]] = {}

    def scores(self, row: Row) -> dict[str, FloatArray]:
        """By what candidates are ranked, [N] each. "both" has the error models and weights of the model's
        calibration, "prediction" those that ship."""
        found = {"prediction": self._predicted(row, ErrorModels(), False)}
        if self._trained is not None:
            calibration = self._trained.calibration
            chosen = tuple(one for one in self._record_of(row).spectra if one.modality in row.uses)
            likelihood = Likelihood(self._trained, replace(self._record, spectra=chosen))
            found["model"] = spelling_log_probabilities(likelihood, self._candidates)
            evidence = model_evidence(found["model"], calibration.model_weight)
            found["both"] = self._predicted(row, calibration.errors, True) + evidence
        return found

    def _predicted(self, row: Row, errors: ErrorModels, calibrated: bool) -> FloatArray:
        key = row.multiplicities, calibrated
        if key not in self._verdicts:
            self._verdicts[key] = Verifier(self._record_of(row), errors).judge(self._candidates)
        used = {REGISTRY[one].name for one in row.uses}
        parts = (
            {name: part for name, part in one.parts.items() if name in used} for one in self._verdicts[key]
        )
        return np.array([errors.total(one) for one in parts])

    def _record_of(self, row: Row) -> Record:
        return self._record if row.multiplicities else _without_multiplicities(self._record)


def _without_multiplicities(record: Record) -> Record:
    return replace(
        record,
        spectra=tuple(
            replace(one, attached_hydrogens=()) if isinstance(one, CarbonNMR) else one for one in record.spectra
        ),
    )


def measure(cases: Sequence[Case], trained: TrainedModel | None) -> dict[tuple[str, ...], Figures]:
    """Figures by (row, ranked by, spectra right or shuffled, molecules)."""
    found: dict[tuple[str, ...], Figures] = defaultdict(Figures)
    others = {row.name: _partners([case for case in cases if row.needs <= case.measured]) for row in ROWS}
    with ProgressLines("ranking", len(cases)) as progress:
        for number, case in enumerate(cases, 1):
            groups = ("all",) if case.in_table else ("all", "unknown")
            judges: dict[str, Judge] = {}
            for row in ROWS:
                if not row.needs <= case.measured:
                    continue
                for spectra, record in (("right", case.record), ("shuffled", others[row.name][case.record.id])):
                    judge = judges.setdefault(record.id, Judge(record, case.candidates, trained))
                    for by, values in judge.scores(row).items():
                        for group in groups:
                            found[row.name, by, spectra, group].add(values)
                for group in groups:
                    found[row.name, "chance", "", group].add(np.zeros(len(case.candidates)))
            progress.at(number)
    return found


def _partners(cases: Sequence[Case]) -> dict[str, Record]:
    """For each case by its id the spectra of the next one, with its own formula."""
    return {
        case.record.id: replace(other.record, formula=case.record.formula)
        for case, other in zip(cases, (*cases[1:], *cases[:1]))
    }


def time_list(case: Case, lists: Path, count: int) -> str:
    """The time that a list of `count` molecules takes which all have the right mass or formula."""
    record = replace(case.record, formula=None)
    suspects = Sifted().sift(islice(read_suspects(lists), count), None)
    wall_s, cpu_s = time.monotonic(), time.process_time()
    judged = rank(record, suspects).judged
    wall_s, cpu_s = time.monotonic() - wall_s, time.process_time() - cpu_s
    return f"{judged:,} candidates ranked in {wall_s:.0f} s, {cpu_s:.0f} s of them on the processor"


def append(found: dict[tuple[str, ...], Figures], options: argparse.Namespace) -> None:
    """Add the figures to the file of results, with a head if it is new."""
    path = RESULTS.with_name("ranking.csv")
    head = ("date", "commit", "model", "most", "isomers", "molecules_with", "ranked_by", "spectra", "group",
            "molecules", "top_1", "reciprocal_rank", "calibration_error")  # fmt: skip
    new = not path.exists()
    with path.open("a", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        if new:
            writer.writerow(head)
        for names, one in found.items():
            model = options.model.name if options.model else "none"
            about = (datetime.now(UTC).strftime("%Y-%m-%d"), commit(), model, options.most, options.isomers)
            figures = (np.mean(one.top_1), np.mean(one.reciprocal), one.calibration_error)
            writer.writerow((*about, *names, len(one.top_1), *(f"{figure:.4f}" for figure in figures)))


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("data", type=Path, help="folder of the published data")
    parser.add_argument("--model", type=Path, help="folder of a trained model")
    parser.add_argument("--most", type=int, default=60, help="candidates of a molecule (default: 60)")
    parser.add_argument("--isomers", type=int, default=0, help="fill up shorter lists with edited structures")
    parser.add_argument(
        "--molecules", type=int, default=10**6, help="a drawn sample of the test (default: all)"
    )
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--time", type=int, metavar="N", help="time a list of N molecules of MOSES, and no more"
    )
    options = parser.parse_args()
    started = time.monotonic()
    cases = read_cases(options.data, options)
    if options.time:
        lines = [sum(len(one.shifts_ppm) for one in case.record.of(C)) for case in cases]  # type: ignore[union-attr]
        print(time_list(cases[int(np.argmax(lines))], options.data / RIVALS[2], options.time))
        return
    sizes = np.array([len(case.candidates) for case in cases])
    print(f"{len(cases)} molecules, {sizes.mean():.1f} candidates in the mean, {sizes.min()} to {sizes.max()}")
    started, read_s = time.monotonic(), time.monotonic() - started
    found = measure(cases, None if options.model is None else load_model(options.model))
    print(f"read in {read_s:.0f} s, ranked in {time.monotonic() - started:.0f} s")
    print("Top-1 / reciprocal rank, and the calibration error of the softmax of the scores")
    for (row, by, spectra, group), figures in found.items():
        print(f"{row:26} {by:11} {spectra:9} {group:8} n {len(figures.top_1):4}  {figures}")
    append(found, options)


if __name__ == "__main__":
    main()
