"""A fusion model of MS/MS spectra adapted to MALDI-TOF spectra of bacteria: adapters beside full fine-tuning.

    python benchmarks/run.py maldi_adapters DATA/massbank_msms.parquet BACTERIA --out adapters --spots 1,2

BACTERIA is a folder of raw Bruker flex spectra, SPECIES/SPOT/NUMBER/1SLin. The base learns the functional
groups of molecules from the MS/MS of one type of instrument, as in `domain_adapters.py`. Then, of each
species, --spots spots are learnt from, with all their spectra or the first alone (--single), and the other
spots are measured, by the mean probability of their spectra; splits differ in which spots are learnt from. A
spectrum is the peaks that `mmspec cohort` picks: a token each, at the m/z of its bin of 2000 ppm, its height
as a share of the highest.

Every method has a new head for the species, equal steps, and learning rates that were set beforehand; nothing
is chosen on what is measured. `head` learns the head alone, `bottleneck` and `lora` adapters as well (at most
3 % of the base's parameters, the head counted), `full` all weights from the base's, `anew` all weights from
nothing; `linear` is a logistic regression on the heights in the bins. Rows go to results/maldi_adapters.csv:
share of the spots that are told right, mean area of each species against the others, and both in per cent of
full fine-tuning.
"""

import argparse
import math
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import torch
from domain_adapters import content, select
from fusion_runs import append, train
from runner import commit, device_name
from sklearn.linear_model import LogisticRegression

from mmspec_ds.readers.bruker_flex import FlexSpectrum, read_flex
from mmspec_ds.readers.flex_table import bin_centre, bin_of
from mmspec_ds.readers.picking.time_of_flight import pick_flight_peaks
from mmspec_ds.spectra.axes import Axis
from mmspec_ds.systems.fusion.data import FusionData, FusionSets
from mmspec_ds.systems.fusion.outcome import macro_auc
from mmspec_ds.systems.fusion.run_settings import FusionRun
from mmspec_ds.systems.fusion.schema import Schema
from mmspec_ds.systems.fusion.task import FusionTask
from mmspec_ds.systems.fusion.tokens import Points, TokenSettings, peaks
from mmspec_ds.systems.fusion.trained import load_fusion
from mmspec_ds.trainer.task import TaskContext

FIELDS = (
    *("date", "commit", "device", "source", "spots", "split", "method", "learnt", "measured", "steps"),
    *("learning_rate", "trained_share", "accuracy", "auc", "accuracy_share", "auc_share"),
)
RESULTS = Path(__file__).resolve().parent / "results" / "maldi_adapters.csv"
RATES = {"head": 3e-3, "bottleneck": 3e-3, "lora": 3e-3, "full": 5e-4, "anew": 1e-3}
"""Learning rates by method, those of `domain_adapters.py`; the head's is that of adapters."""
BIN_PPM = 2000.0
WARMUP, FINAL = 0.05, 0.02


def read_spectra(folder: Path, settings: TokenSettings) -> tuple[FusionData, Schema, np.ndarray]:
    """All spectra as a model reads them, what it tells, and the heights in all bins [N, F]."""
    found = [one for one in read_flex(folder) if isinstance(one, FlexSpectrum)]
    species = tuple(sorted({one.group for one in found}))
    pieces, rows = [], []
    for one in found:
        picked = pick_flight_peaks(one.mz, one.counts)
        highest: dict[int, float] = {}
        for mz, height in zip(picked.mz.tolist(), (picked.height / picked.height.max()).tolist()):
            number = bin_of(mz, BIN_PPM)
            highest[number] = max(height, highest.get(number, 0.0))
        kept = sorted(sorted(highest, key=lambda number: -highest[number])[: settings.max_peaks])
        centres = [bin_centre(number, BIN_PPM) for number in kept]
        pieces.append(peaks(centres, [highest[n] for n in kept], Axis.MZ, settings.patch, sign=1.0))
        rows.append(highest)
    bins = sorted({number for row in rows for number in row})
    heights_NF = np.array([[row.get(number, 0.0) for number in bins] for row in rows])
    target_NC = np.eye(len(species), dtype=np.float32)[[species.index(one.group) for one in found]]
    ids, spots = tuple(one.id for one in found), tuple(one.sample for one in found)
    data = FusionData(ids, (Points.joined(pieces),), target_NC, spots)
    return data, Schema(("maldi",), "classes", species, {}), heights_NF


def parted(data: FusionData, spots: int, split: int, *, single: bool = False) -> tuple[np.ndarray, np.ndarray]:
    """Places of the spectra to learn from, of so many spots of each species, and of those to measure: all of
    the other spots. Learnt from is a `single` spectrum of a spot, or all of them."""
    rng = np.random.default_rng((split, spots))
    label_N, spot_N = data.target_NC.argmax(1), np.array(data.groups)
    chosen: set[str] = set()
    for label in range(data.target_NC.shape[1]):
        chosen |= set(rng.permutation(np.unique(spot_N[label_N == label]))[:spots].tolist())
    learnt_N = np.isin(spot_N, list(chosen))
    learnt = np.flatnonzero(learnt_N)
    if single:
        learnt = learnt[np.unique(spot_N[learnt], return_index=True)[1]]
    return learnt, np.flatnonzero(~learnt_N)


def run_of(options: argparse.Namespace, base: Path, method: str, size: int, seed: int) -> FusionRun:
    """The run of a method: adapters, or all weights of the base, or new ones; a new head in each."""
    run = base_content(options) | {"name": method, "seed": seed, "engine": "engine.json", "data": {}}
    run["training"] = run["training"] | {"batch_size": min(size, 16), "learning_rate": RATES[method]}
    if method in ("head", "bottleneck", "lora"):
        kind = "none" if method == "head" else method
        width = options.rank if method == "lora" else options.bottleneck
        run["adapt"] = {"base": str(base), "head": "new", "kind": kind, "width": width}
    elif method == "full":
        run["training"] = run["training"] | {"encoder_from": str(base)}
    return FusionRun.model_validate(run)


def base_content(options: argparse.Namespace) -> dict[str, Any]:
    """The run file of the base."""
    run = content(options, "base", 0, options.out / "data" / "source_train.parquet")
    run["tokens"] = run["tokens"] | {"table_points": 4096}
    return run


def learn(task: FusionTask, steps: int, rate: float) -> None:
    """So many steps of AdamW, the learning rate rising first and then falling by half a cosine."""
    trained = [one for one in task.module.parameters() if one.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=rate, weight_decay=0.01)
    first = max(1, round(WARMUP * steps))
    task.module.train()
    for number in range(steps):
        falling = FINAL + (1 - FINAL) * (1 + math.cos(math.pi * number / steps)) / 2
        optimizer.param_groups[0]["lr"] = rate * min((number + 1) / first, falling)
        optimizer.zero_grad()
        task.module(task.batch(number), number / steps).total.backward()
        torch.nn.utils.clip_grad_norm_(trained, 1.0)
        optimizer.step()


def of_spots(probability_NC: np.ndarray, data: FusionData) -> dict[str, float]:
    """Share of the spots that are told right, and the mean area of each species against the others."""
    spots = np.array(data.groups)
    names = sorted(set(data.groups))
    told_SC = np.array([probability_NC[spots == name].mean(0) for name in names])
    truth_SC = np.array([data.target_NC[spots == name][0] for name in names])
    right = float((told_SC.argmax(1) == truth_SC.argmax(1)).mean())
    return {"accuracy": 100 * right, "auc": macro_auc(told_SC, truth_SC)}


def rows_of_split(
    options: argparse.Namespace,
    base: Path,
    read: tuple[FusionData, Schema, np.ndarray],
    spots: int,
    split: int,
) -> list[dict[str, str]]:
    """A row for each method."""
    data, schema, heights_NF = read
    learnt, measured = parted(data, spots, split, single=options.single)
    train_data, test_data = data.subset(learnt), data.subset(measured)
    found: dict[str, dict[str, float]] = {}
    facts: dict[str, dict[str, str]] = {}
    for method, rate in RATES.items():
        run = run_of(options, base, method, len(learnt), split)
        task = FusionTask(run, TaskContext(torch.device("cpu")), FusionSets(train_data, test_data, schema))
        own = sum(one.numel() for one in task.module.parameters() if one.requires_grad)
        learn(task, options.adapting_steps, rate)
        found[method] = of_spots(task.outcome().probability_NC, test_data)
        share = 100 * own / options.base_parameters if run.adapt else 100.0
        facts[method] = {"steps": str(options.adapting_steps), "learning_rate": f"{rate:g}"}
        facts[method] |= {"trained_share": f"{share:.2f}"}
    linear = LogisticRegression(max_iter=2000).fit(heights_NF[learnt], train_data.target_NC.argmax(1))
    found["linear"] = of_spots(linear.predict_proba(heights_NF[measured]), test_data)
    return [
        {
            "spots": str(spots),
            "split": str(split),
            "method": method,
            "learnt": str(len(learnt)),
            "measured": str(len(set(test_data.groups))),
            "accuracy": f"{one['accuracy']:.1f}",
            "auc": f"{one['auc']:.4f}",
            "accuracy_share": f"{100 * one['accuracy'] / found['full']['accuracy']:.1f}",
            "auc_share": f"{100 * one['auc'] / found['full']['auc']:.2f}",
            **facts.get(method, {}),
        }
        for method, one in found.items()
    ]


def tell(rows: Sequence[Mapping[str, str]]) -> None:
    """Print means over the splits."""
    for spots in dict.fromkeys(row["spots"] for row in rows):
        for method in dict.fromkeys(row["method"] for row in rows):
            some = [row for row in rows if (row["spots"], row["method"]) == (spots, method)]
            mean = {
                key: np.mean([float(row[key]) for row in some])
                for key in ("accuracy", "auc", "accuracy_share", "auc_share")
            }
            least = min(float(row["auc_share"]) for row in some)
            print(
                f"{spots} spots  {method:10} accuracy {mean['accuracy']:.1f} %  AUC {mean['auc']:.4f}  of full"
                f" {mean['accuracy_share']:.1f} and {mean['auc_share']:.1f} % (least {least:.1f})"
            )


def main() -> None:
    """Train, measure, write rows and print their means."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("spectra", type=Path, help="massbank_msms.parquet")
    parser.add_argument("bacteria", type=Path, help="folder of raw Bruker flex spectra")
    parser.add_argument("--out", type=Path, required=True, help="folder of the base")
    parser.add_argument("--from", dest="source", default="LC-ESI-QTOF", help="default: LC-ESI-QTOF")
    parser.add_argument("--spots", default="1,2", help="learnt from, of each species (default: 1,2)")
    parser.add_argument("--single", action="store_true", help="learn from one spectrum of a spot")
    parser.add_argument("--splits", type=int, default=5, help="default: 5")
    parser.add_argument("--base-steps", type=int, default=3000, help="default: 3000")
    parser.add_argument("--steps", dest="adapting_steps", type=int, default=200, help="default: 200")
    parser.add_argument("--peaks", type=int, default=48, help="of a spectrum (default: 48)")
    parser.add_argument("--bottleneck", type=int, default=5, help="width (default: 5)")
    parser.add_argument("--rank", type=int, default=1, help="of low-rank adapters (default: 1)")
    parser.add_argument("--results", type=Path, default=RESULTS)
    options = parser.parse_args()
    torch.set_num_threads(1)
    options.out, options.steps = options.out.resolve(), 0
    file = options.out / "data" / "source_train.parquet"
    select(options.spectra, options.source, "train", 0, file)
    base = train(options.out, base_content(options))
    stored = load_fusion(base)
    options.base_parameters = sum(one.numel() for one in stored.model.parameters())
    read = read_spectra(options.bacteria, stored.run.tokens)
    common = {
        "date": f"{datetime.now(UTC):%Y-%m-%d}",
        "commit": commit(),
        "device": device_name(torch.device("cpu")),
        "source": options.source,
    }
    rows: list[dict[str, str]] = []
    for spots in map(int, options.spots.split(",")):
        for split in range(options.splits):
            of_split = rows_of_split(options, base, read, spots, split)
            print(spots, split, {row["method"]: (row["accuracy"], row["auc"]) for row in of_split}, flush=True)
            append([common | row for row in of_split], options.results, FIELDS)
            rows += of_split
    tell(rows)


if __name__ == "__main__":
    main()
