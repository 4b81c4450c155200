"""How far one gets without learning: candidates whose predicted spectra agree best with those of a record.

    python benchmarks/matcher.py TEST.parquet --candidates TRAIN.parquet MORE.smi --molecules 500

The candidates are all molecules of the files, once each: together with the molecules of the test, a space that
is known to hold the answers, and without them, as a model's training molecules are. Their spectra are predicted
by the simulator and compared with those of the test (`mmspec_ds/verification/matcher.py`). Without --formula
nothing is known but the spectra. Top-1, Top-10 and Tanimoto similarity of the first are printed, with the share
of molecules that the comparison of binned shifts left among the candidates to judge, and appended to
results/matcher.csv. Simulated spectra are predicted by the rules that made them: an upper bound.
"""

import argparse
import csv
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from rdkit import RDLogger
from runner import RESULTS, commit

from mmspec_ds.evaluation.metrics import score_candidates
from mmspec_ds.molecules.composition import Composition
from mmspec_ds.molecules.smiles import without_stereo
from mmspec_ds.progress import ProgressLines
from mmspec_ds.readers.candidate_list import read_suspects
from mmspec_ds.spectra.parquet import read_records
from mmspec_ds.spectra.records import Modality, Record
from mmspec_ds.verification.candidate_space import CandidateSpace
from mmspec_ds.verification.matcher import matcher_candidates

HEAD = ("date", "commit", "test", "spectra", "space", "candidates", "formula", "keep", "judged", "molecules",
        "top_1", "top_10", "tanimoto", "kept", "prediction_s", "matching_s")  # fmt: skip


def drawn(path: Path, modalities: Sequence[Modality], count: int, seed: int) -> list[Record]:
    """A sample of the records of a file."""
    records = [one for one in read_records(path, modalities=modalities) if one.smiles]
    chosen = np.random.default_rng(seed).permutation(len(records))[:count]
    return [records[at] for at in sorted(chosen)]


def composition_of(record: Record, formula: bool) -> Composition | None:
    """What may be known beside the spectra."""
    return Composition.of_formula(record.formula) if formula and record.formula else None


def kept_share(records: Sequence[Record], space: CandidateSpace, keep: int, formula: bool) -> float:
    """Per cent of the records whose own molecule is among the `keep` that binned shifts leave."""
    number = {one: at for at, one in enumerate(space.smiles)}
    hits = 0
    for record in records:
        at = number.get(without_stereo(record.smiles or ""))
        if at is None:
            continue
        among = space.fitting(composition_of(record, formula))
        likeness = space.likeness(record, among)
        own = likeness[among == at]
        hits += bool(len(own)) and int((likeness > own[0]).sum()) < keep
    return 100 * hits / len(records)


def space_of(options: argparse.Namespace, truths: Sequence[str]) -> tuple[CandidateSpace, float]:
    """All candidates, those of the test last, and the processor time that their spectra took."""
    suspects = (one for file in options.candidates for one in read_suspects(file))
    listed = dict.fromkeys(without_stereo(one.smiles) for one in suspects)
    for truth in truths:
        listed.pop(truth, None)
    listed |= dict.fromkeys(truths)
    progress, started = ProgressLines("candidates", total=len(listed), seconds=30), time.process_time()
    space = CandidateSpace.of(listed, progress.at)
    return space, time.process_time() - started


def measure(records: Sequence[Record], space: CandidateSpace, options: argparse.Namespace) -> dict[str, object]:
    """What is reported of one space, by its column."""
    truths = [without_stereo(one.smiles or "") for one in records]
    known = [composition_of(one, options.formula) for one in records]
    progress, started = ProgressLines("molecules", total=len(records), seconds=30), time.process_time()
    found = matcher_candidates(
        records, space, known, keep=options.keep, judged=options.judged, progress=progress.at
    )
    seconds = time.process_time() - started
    scores = score_candidates([[one.smiles for one in best] for best in found], truths)
    return {
        "candidates": len(space),
        "molecules": scores.n,
        "top_1": f"{scores.top_k[1]:.1f}",
        "top_10": f"{scores.top_k[10]:.1f}",
        "tanimoto": f"{scores.tanimoto:.3f}",
        "kept": f"{kept_share(records, space, options.keep, options.formula):.1f}",
        "matching_s": f"{seconds:.0f}",
    }


def append(rows: Sequence[dict[str, object]]) -> None:
    """Add rows to the file of results, with a head if it is new."""
    path = RESULTS.with_name("matcher.csv")
    new = not path.exists()
    about = {"date": datetime.now(UTC).strftime("%Y-%m-%d"), "commit": commit()}
    with path.open("a", newline="") as file:
        writer = csv.DictWriter(file, HEAD, lineterminator="\n")
        if new:
            writer.writeheader()
        writer.writerows(about | row for row in rows)


def main() -> None:
    """Measure the candidates with and without the right ones among them."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("test", type=Path, help="records with structures, Parquet in the benchmark's schema")
    parser.add_argument("--candidates", type=Path, nargs="+", default=[], help="Parquet, tables, SMILES")
    parser.add_argument("--molecules", type=int, default=500, help="a drawn sample of the test")
    parser.add_argument(
        "--modalities", default="h_nmr,c_nmr,ir,ms", help="spectra to go by, some NMR among them"
    )
    parser.add_argument("--formula", action="store_true", help="the formula is known")
    parser.add_argument("--keep", type=int, default=300, help="candidates whose NMR is assigned")
    parser.add_argument("--judged", type=int, default=40, help="candidates that are judged by all spectra")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    RDLogger.DisableLog("rdApp.*")
    modalities = [Modality[name.upper()] for name in options.modalities.split(",")]
    records = drawn(options.test, modalities, options.molecules, options.seed)
    truths = {without_stereo(one.smiles or "") for one in records}
    space, predicted_s = space_of(options, list(truths))
    without = space.subset(np.array([at for at, one in enumerate(space.smiles) if one not in truths]))
    shared = {"test": options.test.name, "spectra": options.modalities, "formula": options.formula}
    shared |= {"keep": options.keep, "judged": options.judged, "prediction_s": f"{predicted_s:.0f}"}
    rows = []
    for name, one in (("with the right ones", space), ("without the right ones", without)):
        rows.append(shared | {"space": name} | measure(records, one, options))
        print("\n".join(f"{key:14} {rows[-1][key]}" for key in HEAD if key in rows[-1]), flush=True)
    append(rows)


if __name__ == "__main__":
    main()
