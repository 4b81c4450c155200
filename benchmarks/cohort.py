"""Methods of fusion on cohorts, in the same nested folds: areas, and what spoilt blocks do to them.

    python benchmarks/cohort.py DATA                         # colorectal cancer, three pairs of classes
    python benchmarks/cohort.py DATA --unpaired              # patients with one table are learned from as well
    python benchmarks/cohort.py DATA --urine                 # gastric cancer, urine NMR alone
    python benchmarks/cohort.py --simulated 240 --seeds 5    # mixtures whose markers are known

DATA is the folder that holds crc/ and cohorts/. Areas are of samples that have all blocks. "spoilt" is the
share of the held-out samples of which one block, drawn, was spoilt: noised (each feature of another sample),
shuffled (the block of another sample) or missing, in equal shares. Weights are those of one block in the
contribution-aware fusion, as a share of its features is noised in all held-out samples. Figures are printed,
and appended to results/cohort.csv and results/cohort_weights.csv. All is predicted by models that have not seen
the patient.
"""

import argparse
import csv
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from runner import RESULTS, commit

from mmspec_ds.evaluation.roc import area
from mmspec_ds.progress import ProgressLines
from mmspec_ds.settings import validated
from mmspec_ds.simulator.mixture_files import write_cohort
from mmspec_ds.simulator.mixtures import MixtureSettings, simulate_mixtures
from mmspec_ds.systems.fusion.cohort.analysis import (
    comparisons_of,
    judged_samples,
    run_controls,
    score_methods,
)
from mmspec_ds.systems.fusion.cohort.analysis_settings import AnalysisSettings
from mmspec_ds.systems.fusion.cohort.cohort import Cohort, FloatMatrix
from mmspec_ds.systems.fusion.cohort.contribution import exact_contributions
from mmspec_ds.systems.fusion.cohort.corruption import KINDS, corrupt
from mmspec_ds.systems.fusion.cohort.folds import outer_splits
from mmspec_ds.systems.fusion.cohort.methods import fit_methods, method_names
from mmspec_ds.systems.fusion.cohort.reading import read_cohort
from mmspec_ds.systems.fusion.cohort.run_settings import CohortRun
from mmspec_ds.systems.fusion.cohort.views import batch_of

RATES = (0.1, 0.2, 0.4, 0.6)
SHARES = (0.0, 0.25, 0.5, 0.75, 1.0)
PAIRS = (("cancer", "healthy"), ("cancer", "polyp"), ("polyp", "healthy"))
CLEAN = "clean"


@dataclass
class Measured:
    """Held-out predictions by condition and method, [R, N, C]; weights by block and share of noise;
    contributions of the head and exact ones."""

    probability: dict[Any, dict[str, FloatMatrix]] = field(default_factory=dict)
    weights: dict[tuple[int, float], list[float]] = field(default_factory=dict)
    head: list[FloatMatrix] = field(default_factory=list)
    exact: list[FloatMatrix] = field(default_factory=list)
    expected: list[FloatMatrix] = field(default_factory=list)
    true: list[FloatMatrix] = field(default_factory=list)


def settings_of(options: argparse.Namespace, scaling: str) -> AnalysisSettings:
    """The settings of the analysis, with the NMR bins scaled so."""
    content = {
        "preparation": {"nmr": {"normalisation": "pqn", "scaling": scaling}, "ms": {"transform": "log"}},
        "folds": {"repeats": options.repeats, "seed": options.seed},
        "controls": {"permutations": options.permutations},
    }
    return validated(AnalysisSettings, content, "benchmark")


def cohorts(options: argparse.Namespace) -> Iterator[tuple[str, Cohort, AnalysisSettings, str]]:
    """Each cohort with its name, the settings and the scaling of NMR bins."""
    if options.simulated:
        for seed in range(options.seeds):
            with tempfile.TemporaryDirectory() as folder:
                write_cohort(
                    Path(folder), simulate_mixtures(MixtureSettings(patients=options.simulated, seed=seed))
                )
                tables = [{"name": name, "file": f"{folder}/{name}.csv"} for name in ("nmr", "ms")]
                run = {"tables": tables, "metadata": {"file": f"{folder}/samples.csv"}, "patient": "patient"}
                cohort = read_cohort(validated(CohortRun, run | {"classes": {"column": "class"}}, "benchmark"))
            yield f"simulated {seed}", cohort.choose(("case", "control")), settings_of(options, "auto"), "auto"
    elif options.urine:
        table = {"name": "nmr", "file": str(options.data / "cohorts/ST001047.xlsx"), "sample": "SampleID"}
        names = {"cancer": "GC", "benign": "BN", "healthy": "HE"}
        classes = {"column": "Class", "names": names}
        cohort = read_cohort(validated(CohortRun, {"tables": [table], "classes": classes}, "benchmark"))
        content = {"preparation": {"nmr": {"normalisation": "pqn", "transform": "log"}}}
        settings = validated(AnalysisSettings, content, "benchmark").model_copy(
            update={"folds": settings_of(options, "auto").folds}
        )
        for pair in (("cancer", "healthy"), ("cancer", "benign"), ("benign", "healthy")):
            yield "gastric urine", cohort.choose(pair), settings, "auto"
    else:
        cohort = colorectal(options.data / "crc")
        if not options.unpaired:
            complete_N = np.all([block.present_N for block in cohort.blocks], axis=0)
            cohort = cohort.subset(np.flatnonzero(complete_N))
        for scaling in options.scaling:
            for pair in PAIRS:
                name = "colorectal, unpaired too" if options.unpaired else "colorectal"
                yield name, cohort.choose(pair), settings_of(options, scaling), scaling


def colorectal(folder: Path) -> Cohort:
    """The cohort of serum NMR and MS; patients that were measured twice are averaged."""
    nmr = {"name": "nmr", "file": str(folder / "colorectal_cancer_nmr.csv"), "sample": "sample_id"}
    metadata = {"file": str(folder / "st000284_sampleMetadata.csv"), "join": "order"}
    ms = {"name": "ms", "file": str(folder / "st000284_dataMatrix.csv"), "sample": "Patient_ID"}
    names = {
        "cancer": ["C", "Colorectal Cancer"],
        "polyp": ["P", "Polyp"],
        "healthy": ["H", "Healthy Control"],
    }
    classes = {"column": ["Groups", "classification"], "names": names}
    run = {"tables": [nmr, ms | {"metadata": metadata}], "classes": classes}
    return read_cohort(validated(CohortRun, run, "benchmark"))


def measure(cohort: Cohort, settings: AnalysisSettings) -> Measured:
    """Predict all held-out samples, as they are and with blocks spoilt."""
    found, names = Measured(), method_names(cohort, settings)
    blocks, repeats = range(len(cohort.blocks)), settings.folds.repeats
    conditions = [CLEAN, *((block, kind) for block in blocks for kind in KINDS if len(blocks) > 1)]
    shape = repeats, len(cohort.samples), len(cohort.classes)
    for condition in conditions:
        found.probability[condition] = {name: np.zeros(shape) for name in names}
    total = repeats * settings.folds.outer
    with ProgressLines(" against ".join(cohort.classes), total, unit="folds") as progress:
        for done, split in enumerate(outer_splits(cohort, settings.folds), start=1):
            methods = fit_methods(cohort, split.train, settings, split.seed)
            batch, random = batch_of(cohort, split.test), np.random.default_rng(split.seed)
            every = np.arange(len(split.test))
            for condition in conditions:
                spoilt = batch
                if condition != CLEAN:
                    spoilt = corrupt(batch, batch, condition[0], every, condition[1], random)
                predicted = methods.predict(spoilt)
                for name, one in predicted.probability.items():
                    found.probability[condition][name][split.repeat, split.test] = one
                if condition == CLEAN and (why := predicted.contributions) is not None:
                    here = batch.present_RM
                    found.head.append(why.head_RM[here])
                    found.exact.append(why.exact_RM[here])
                    found.expected.append(why.expected_RM[here])
                    true_RM = exact_contributions(why.coalition_RPC, cohort.label_N[split.test])
                    found.true.append(true_RM[here])
            for block in blocks if len(blocks) > 1 else ():
                has_all = batch.present_RM.all(1)
                for share in SHARES:
                    spoilt = corrupt(batch, batch, block, every, "noise", random, share)
                    why = methods.predict(spoilt).contributions
                    assert why is not None
                    found.weights.setdefault((block, share), []).extend(why.weight_RM[has_all, block])
            progress.at(done)
    return found


def spoilt_at(found: Measured, method: str, rate: float, seed: int) -> FloatMatrix:
    """Predictions of a method where a share of the samples has one block spoilt, the same for all methods."""
    random = np.random.default_rng([seed, round(100 * rate)])
    values = found.probability[CLEAN][method].copy()
    kinds = [one for one in found.probability if one != CLEAN]
    drawn = random.random(values.shape[:2]) < rate
    kind = random.integers(0, len(kinds), values.shape[:2])
    for number, condition in enumerate(kinds):
        chosen = drawn & (kind == number)
        values[chosen] = found.probability[condition][method][chosen]
    return values


def report(name: str, cohort: Cohort, settings: AnalysisSettings, scaling: str) -> None:
    """Measure one comparison, print its figures and append them."""
    (comparison,) = comparisons_of(cohort)
    judged_N = judged_samples(cohort)
    counts = cohort.subset(np.flatnonzero(judged_N)).counts
    print(f"\n{name}: {comparison.name}, {counts}, NMR scaling {scaling}")
    found = measure(cohort, settings)
    by_patients = len(np.unique(cohort.group_N)) < len(cohort.samples)
    scores = score_methods(comparison, cohort, found.probability[CLEAN], judged_N, by_patients=by_patients)
    is_case_n = cohort.label_N[judged_N] == comparison.cases
    about = [datetime.now(UTC).strftime("%Y-%m-%d"), commit(), name, comparison.name, scaling]
    rows = []
    for method, one in scores.items():
        against = one.against
        spoilt = {}
        for rate in RATES if len(cohort.blocks) > 1 else ():
            values = spoilt_at(found, method, rate, settings.folds.seed)
            spoilt[rate] = [area(comparison.score(some)[judged_N], is_case_n) for some in values]
        print(
            f"  {method:14} {one.mean:.3f} (SD {one.deviation:.3f}); {one.area.auc:.3f}"
            f" ({one.area.low:.3f} to {one.area.high:.3f})"
            + (f"; {against.difference:+.3f}, p {against.p_value:.2f}" if against else "")
            + "".join(f"; {rate:.0%} {np.mean(some):.3f}" for rate, some in spoilt.items())
        )
        difference = (against.difference, against.p_value) if against else ("", "")
        interval = (one.area.auc, one.area.low, one.area.high)
        rows.append([*about, method, 0.0, one.mean, one.deviation, *interval, *difference])
        rows += [
            [*about, method, rate, np.mean(some), np.std(some), "", "", "", "", ""]
            for rate, some in spoilt.items()
        ]
    head = (
        "date,commit,cohort,comparison,nmr_scaling,method,spoilt,auc,sd,auc_of_mean,low,high,difference,p_value"
    )
    append("cohort.csv", head, rows)
    if found.weights:
        report_contributions(found, cohort, about)
    if settings.controls.permutations:
        controls = run_controls(cohort, settings, {comparison.name: scores}, lambda: None)
        for method, some in controls.permuted[comparison.name].items():
            value = controls.p_value[comparison.name][method]
            print(f"  labels shuffled: {method:14} {np.mean(some):.3f} (SD {np.std(some):.3f}), p {value:.3f}")
        for block, by_method in controls.shuffled.items():
            told = ", ".join(f"{method} {one:.3f}" for method, one in by_method[comparison.name].items())
            print(f"  {block} shuffled: {told}")


def report_contributions(found: Measured, cohort: Cohort, about: list[str]) -> None:
    """Print how well the heads do, and the weights of blocks as they are noised."""
    for what, first, second in (("predicted", found.head, found.exact), ("true", found.expected, found.true)):
        value = np.corrcoef(np.concatenate(first), np.concatenate(second))[0, 1]
        print(f"  head against exact contribution to the {what} class: correlation {value:.3f}")
    rows = []
    for block, one in enumerate(cohort.blocks):
        means = [np.mean(found.weights[block, share]) for share in SHARES]
        print(f"  weight of {one.name} noised at 0, 25, 50, 75, 100 %: " + ", ".join(f"{m:.2f}" for m in means))
        rows += [[*about, one.name, share, mean] for share, mean in zip(SHARES, means)]
    append("cohort_weights.csv", "date,commit,cohort,comparison,nmr_scaling,block,noised,weight", rows)


def append(name: str, head: str, rows: list[list[Any]]) -> None:
    """Append rows to a file of results."""
    path = RESULTS.parent / name
    is_new = not path.exists()
    with path.open("a", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        if is_new:
            writer.writerow(head.split(","))
        for row in rows:
            writer.writerow([f"{one:.4f}" if isinstance(one, float) else one for one in row])


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("data", type=Path, nargs="?", help="folder of the published data")
    parser.add_argument("--unpaired", action="store_true", help="learn from patients with one table, too")
    parser.add_argument("--urine", action="store_true", help="gastric cancer instead, urine NMR")
    parser.add_argument("--simulated", type=int, metavar="N", help="simulated cohorts of N patients instead")
    parser.add_argument("--seeds", type=int, default=5, help="simulated cohorts (default: 5)")
    parser.add_argument("--scaling", nargs="+", default=["pareto", "auto"], help="of NMR bins")
    parser.add_argument("--repeats", type=int, default=10)
    parser.add_argument("--permutations", type=int, default=0, help="of the labels (default: none)")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    if options.data is None and not options.simulated:
        parser.error("name the folder of the published data, or --simulated N")
    for one in cohorts(options):
        report(*one)


if __name__ == "__main__":
    main()
