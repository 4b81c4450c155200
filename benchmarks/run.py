"""The registry of benchmarks: what is measured, beside what, by which script.

python benchmarks/run.py                              # lists them
python benchmarks/run.py step ROWS.parquet --steps 5  # runs one with its own options; --help tells them
"""

import argparse
import runpy
import sys
from dataclasses import dataclass
from pathlib import Path

FOLDER = Path(__file__).resolve().parent


@dataclass(frozen=True)
class Benchmark:
    """A script of this folder, what it measures, and beside what."""

    script: str
    measures: str
    beside: str


REGISTRY = {
    "layer": Benchmark(
        "kernels.py", "the sparse layer", "DeepSpeed's MoE, F.grouped_mm, a loop, the dense layer"
    ),
    "step": Benchmark("step.py", "a training step", "the paper's dense baseline; dense with the same spectra"),
    "language_step": Benchmark(
        "language_step.py", "a training step with a frozen language model", "float32; fused attention"
    ),
    "decoding": Benchmark(
        "decoding.py", "beam search", "transformers with the same weights; the dense baseline"
    ),
    "constraints": Benchmark("constraints.py", "constrained beam search", "the same without a constraint"),
    "preparation": Benchmark("prepare.py", "preparing data", "plain pandas by the same rules"),
    "traffic": Benchmark("traffic.py", "what a step sends", "the least that the routing implies"),
    "planner": Benchmark("plan_memory.py", "mmspec plan", "measured trainings"),
    "forward": Benchmark("forward_models.py", "predicted IR and MS/MS", "measured spectra; shuffled ones"),
    "simulator": Benchmark("simulator.py", "simulated spectra", "published and measured ones"),
    "modalities": Benchmark(
        "modality_gain.py", "models with HSQC, DEPT and precursors", "the same models without"
    ),
    "spectra": Benchmark("single_modality.py", "what each spectrum alone tells", "another profile of noise"),
    "curves": Benchmark("made_curves.py", "1H curves read", "the known spectra that they were made from"),
    "measured": Benchmark("measured_molecules.py", "answers to measured spectra", "the true structures"),
    "measured_small": Benchmark(
        "measured_small.py", "answers to measured shift lists", "the same model fine-tuned on others"
    ),
    "ranking": Benchmark(
        "ranking.py", "measured molecules ranked among their isomers", "a drawn order; another's spectra"
    ),
    "matcher": Benchmark(
        "matcher.py",
        "a matcher that learns nothing",
        "the same without the right molecules among its candidates",
    ),
    "library": Benchmark("library.py", "vector search in a large library", "comparison with all vectors"),
    "cohort": Benchmark("cohort.py", "fusion of cohorts' tables", "blocks alone; five other ways to fuse"),
    "cohort_network": Benchmark(
        "cohort_network.py", "the fusion network on a cohort, pretrained or not", "linear models, same splits"
    ),
    "cohort_studies": Benchmark(
        "cohort_studies.py", "mmspec cohort on seven studies", "tables alone; shuffled classes"
    ),
    "texts": Benchmark("texts.py", "tokens of a spectrum as text, and their cost", "the published form"),
    "distillation": Benchmark(
        "distillation.py", "students of a fusion model and their latency", "the teacher; no teacher"
    ),
    "adapters": Benchmark(
        "domain_adapters.py", "a fusion model adapted to another instrument", "full fine-tuning; the base"
    ),
    "maldi_adapters": Benchmark(
        "maldi_adapters.py", "the same adapted to MALDI-TOF spectra of bacteria", "full fine-tuning; a new head"
    ),
    "fusion_data": Benchmark(
        "fusion_data.py", "nothing: makes measured MS/MS with simulated NMR", "for fusion_robustness"
    ),
    "fusion_robustness": Benchmark(
        "fusion_robustness.py", "fusion where a modality is spoilt", "concatenation, OGM-GE, gated, late fusion"
    ),
    "axis_elucidation": Benchmark(
        "axis_elucidation.py", "structures by one embedding for all spectra", "one of each kind; pretrained"
    ),
    "readers": Benchmark("fuzz_formats.py", "readers of files", "damaged files"),
}


def main() -> None:
    """List the benchmarks, or become one."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0], add_help=False)
    parser.add_argument("name", nargs="?", choices=tuple(REGISTRY))
    options, rest = parser.parse_known_args()
    if options.name is None:
        for name, one in REGISTRY.items():
            print(f"{name:12} {one.script:22} {one.measures}, beside {one.beside}")
        return
    script = FOLDER / REGISTRY[options.name].script
    sys.path[:0] = [str(FOLDER), str(FOLDER.parent), str(FOLDER.parent / "kernels")]
    sys.argv = [str(script), *rest]
    runpy.run_path(str(script), run_name="__main__")


if __name__ == "__main__":
    main()
