"""A fusion model adapted to another kind of mass spectrometer: adapters beside full fine-tuning.

    python benchmarks/run.py adapters DATA/massbank_msms.parquet --out adapters --seeds 0,1,2

A base learns the functional groups of molecules from the MS/MS of one type of instrument (--from). Then, on the
spectra of another type (--to), the base as it is, bottleneck and low-rank adapters, full fine-tuning from the
base's weights, and a model that is trained anew are compared. Learnt from are the records of the `train` part
but for a tenth of its molecules, which choose the best step; measured are those of the `val` part, whose
molecules are others. --limit keeps so many records of the new instrument, for adapters are for small sets.
Rows go to results/domain_adapters.csv: AUC over the functional groups that both the base and the model that is
trained anew tell, in per cent that of full fine-tuning, the share of the parameters that were trained, and the
FLOPs of the training. A run that was stopped goes on when the command is repeated.
"""

import argparse
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow.compute as pc
import pyarrow.parquet as pq
import torch
from fusion_runs import append, check_apart, measure, train
from runner import commit, device_name

from mmspec_ds.systems.fusion.domain_adapters_files import read_facts
from mmspec_ds.systems.fusion.reading import read_known
from mmspec_ds.systems.fusion.schema import load_schema
from mmspec_ds.systems.fusion.trained import load_fusion

FIELDS = (
    *("date", "commit", "device", "source", "target", "records", "spectra", "method", "seed", "steps"),
    *("chosen_on", "trained_share", "flops", "auc", "auc_share"),
)
RESULTS = Path(__file__).resolve().parent / "results" / "domain_adapters.csv"
METHODS = ("base", "bottleneck", "lora", "full", "anew")


def select(table: Path, instrument: str, part: str, limit: int, target: Path) -> int:
    """Write the records of one type of instrument and one part, at most so many, drawn with a fixed seed;
    returns their number."""
    found = pq.read_table(table)
    kept = pc.and_(pc.equal(found["instrument_type"], instrument), pc.equal(found["split"], part))
    found = found.filter(kept)
    if limit and found.num_rows > limit:
        order = torch.randperm(found.num_rows, generator=torch.Generator().manual_seed(0))[:limit]
        found = found.take(order.sort().values.numpy())
    target.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(found, target)
    return int(found.num_rows)


def content(options: argparse.Namespace, name: str, seed: int, file: Path) -> dict[str, Any]:
    """A run file that learns from a file but for a tenth of its molecules, on which it validates."""
    steps = options.base_steps if name == "base" else options.steps
    training = {"batch_size": 32, "steps": steps, "learning_rate": 1e-3, "threads": 1, "warmup": 0.05}
    training |= {"final_learning_rate": 0.02, "validate_every": max(steps // 4, 1)}
    return {
        "name": name,
        "system": "fusion",
        "seed": seed,
        "data": {
            "train": [str(file)],
            "validation_fraction": 0.1,
            "modalities": ["ms"],
            "groups": 40,
        },
        "tokens": {"patch": 4, "max_peaks": options.peaks},
        "model": {"d_model": 96, "encoder_layers": 3, "ffn_width": 192, "heads": 4, "dropout": 0.0},
        "fusion": {"kind": "late_mean"},
        "training": training,
    }


def adapted(run: dict[str, Any], base: Path, method: str, options: argparse.Namespace) -> dict[str, Any]:
    """The same run by a method: adapters, or all weights of the base, or new ones."""
    if method in ("bottleneck", "lora"):
        width = options.bottleneck if method == "bottleneck" else options.rank
        run["adapt"] = {"base": str(base), "kind": method, "width": width}
        run["training"] = run["training"] | {"learning_rate": options.adapter_rate}
    elif method == "full":
        run["training"] = run["training"] | {"start_from": str(base), "learning_rate": 5e-4}
    return run


def trained_share(folder: Path, method: str) -> float:
    """Parameters that were trained, in per cent of those of the base."""
    if method not in ("bottleneck", "lora"):
        return 0.0 if method == "base" else 100.0
    facts = read_facts(folder)
    return 100 * facts.parameters / facts.base_parameters


def main() -> None:
    """Train, measure, and write rows."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("spectra", type=Path, help="massbank_msms.parquet")
    parser.add_argument("--out", type=Path, required=True, help="folder of the runs")
    parser.add_argument("--from", dest="source", default="LC-ESI-QTOF", help="default: LC-ESI-QTOF")
    parser.add_argument("--to", dest="target", default="LC-ESI-ITFT", help="default: LC-ESI-ITFT")
    parser.add_argument("--limit", type=int, default=2000, help="records of the new instrument (default: 2000)")
    parser.add_argument("--source-limit", type=int, default=0, help="records of the old one (default: all)")
    parser.add_argument("--seeds", default="0,1,2", help="default: 0,1,2")
    parser.add_argument("--base-steps", type=int, default=6000)
    parser.add_argument("--steps", type=int, default=1500)
    parser.add_argument("--peaks", type=int, default=48)
    parser.add_argument("--bottleneck", type=int, default=5, help="width (default: 5)")
    parser.add_argument("--rank", type=int, default=2, help="of low-rank adapters (default: 2)")
    parser.add_argument("--adapter-rate", type=float, default=3e-3, help="learning rate (default: 0.003)")
    parser.add_argument("--results", type=Path, default=RESULTS)
    options = parser.parse_args()
    torch.set_num_threads(1)
    out = options.out.resolve()
    files, counts = {}, {}
    for side, name, parts in (
        ("source", options.source, ("train",)),
        ("target", options.target, ("train", "val")),
    ):
        for part in parts:
            limit = options.source_limit if side == "source" else options.limit
            files[side, part] = out / "data" / f"{side}_{part}.parquet"
            counts[side, part] = select(options.spectra, name, part, limit, files[side, part])
    measured = files["target", "val"]
    check_apart([files["source", "train"], files["target", "train"]], measured)
    base = train(out, content(options, "base", 0, files["source", "train"]))
    loaded = load_fusion(base)
    data = read_known([measured], loaded.schema, loaded.run.tokens)
    common = {
        "date": f"{datetime.now(UTC):%Y-%m-%d}",
        "commit": commit(),
        "device": device_name(torch.device("cpu")),
        "source": options.source,
        "target": options.target,
        "records": str(counts["target", "train"]),
        "spectra": str(len(data)),
        "chosen_on": "other molecules",
    }
    rows: list[Mapping[str, str]] = []
    for seed in map(int, options.seeds.split(",")):
        folders: dict[str, Path] = {}
        for method in METHODS:
            run = adapted(
                content(options, f"{method}_{seed}", seed, files["target", "train"]), base, method, options
            )
            folders[method] = base if method == "base" else train(out, run, [base])
        # A model that is trained anew tells the groups that are frequent in the new records.
        own = load_schema(folders["anew"])
        both = set(own.names) & set(loaded.schema.names)
        of_anew = read_known([measured], own, loaded.run.tokens)
        found = {
            method: (folder, measure(folder, of_anew if method == "anew" else data, both))
            for method, folder in folders.items()
        }
        for method, (folder, figures) in found.items():
            row = {
                "method": method,
                "seed": str(seed),
                "steps": str(options.base_steps if method == "base" else options.steps),
                "trained_share": f"{trained_share(folder, method):.2f}",
                "flops": f"{figures['flops']:.4g}",
                "auc": f"{figures['auc']:.4f}",
                "auc_share": f"{100 * figures['auc'] / found['full'][1]['auc']:.2f}",
            }
            rows.append(common | row)
            print(row)
    append(rows, options.results, FIELDS)


if __name__ == "__main__":
    main()
