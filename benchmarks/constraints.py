"""What constraints add to a step of beam search.

    PYTHONPATH=kernels python benchmarks/constraints.py --threads 1                  # demo and paper size
    PYTHONPATH=kernels python benchmarks/constraints.py --shape paper --beam 50

All contestants make the same number of steps with full beams: the end is impossible, and limit and formulas
are so large that no hypothesis must end. They are timed in turn in one process; medians are compared, in
brackets those of the processor time. Before that, a constraint that allows everything must change no result.
Rows are appended to results/results.csv.
"""

import argparse
import statistics
import sys
import time
from dataclasses import replace

import decoding_work as works
import runner
import torch
from decoding_work import Endless, Shape, Work
from runner import Row
from torch import Tensor

from mmspec_ds.molecules.composition import Composition
from mmspec_ds.molecules.grammar import build_grammar
from mmspec_ds.molecules.possible_formulas import possible_formulas
from mmspec_ds.molecules.vocabulary import Vocabulary
from mmspec_ds.nn.beam import Candidate, SearchRules, beam_search, search
from mmspec_ds.nn.constraints import Constraint, GrammarConstraint
from mmspec_ds.nn.decoding import CachedDecoding
from mmspec_ds.nn.formula_constraint import FormulaConstraint, FormulaTables
from mmspec_ds.nn.model_settings import ModelSettings

DEMO = ModelSettings(d_model=128, heads=4, encoder_layers=2, decoder_layers=2, ffn_width=256)
SHAPES = {
    "demo": Shape(DEMO, source_tokens=40, steps=20, batch=64, beam=10),
    "demo-1": Shape(DEMO, source_tokens=40, steps=20, batch=1, beam=10),
    "paper": replace(works.SHAPES["paper"], batch=8),
    "paper-1": replace(works.SHAPES["paper"], batch=1),
}

ATOMS = (
    "B Br C Cl F I N O P S b c n o p s [nH] [N+] [O-] [n+] [C@H] [C@@H] [C@] [C@@] [NH+] [S@] [S@@] [Si] [se]"
)
OTHERS = "# ( ) - . / 1 2 3 4 5 6 7 8 9 = \\"
LARGE = {"C": 60, "H": 80, "N": 20, "O": 20, "S": 4, "F": 4, "Cl": 4}


class Anything:
    """A constraint that allows all tokens."""

    def __init__(self, samples: int, tokens: int) -> None:
        self._allowed_BKV = torch.ones(samples, 1, tokens, dtype=torch.bool)

    def allowed(self) -> Tensor:
        """See `Constraint`."""
        return self._allowed_BKV

    def advance(self, parents_BK: Tensor, tokens_BK: Tensor) -> None:
        """See `Constraint`."""

    def keep(self, samples: Tensor) -> None:
        """See `Constraint`."""
        self._allowed_BKV = self._allowed_BKV[samples]


def vocabulary() -> Vocabulary:
    """Of molecules as they are published, filled up with bracket atoms to the size that is decoded."""
    listed = [*ATOMS.split(), *OTHERS.split()]
    missing = works.SMILES_TOKENS - len(Vocabulary.SPECIALS) - len(listed)
    return Vocabulary([*listed, *(f"[{mass}C]" for mass in range(20, 20 + missing))])


def decode(work: Work, shape: Shape, constraint: Constraint | None) -> list[list[Candidate]]:
    """Exactly as many steps as the shape says."""
    rules = SearchRules(shape.beam, shape.beam, shape.steps, length_penalty=0.0)
    with torch.inference_mode():
        encoded = work.model.encode(work.spectra)
        decoding = CachedDecoding(work.model.decoder, encoded, beams=shape.beam, max_tokens=shape.steps)
        samples, device = len(work.spectra.modality_BS), work.spectra.modality_BS.device
        return search(Endless(decoding), samples, rules, device, constraint)


def nothing_changes(tables: FormulaTables) -> bool:
    """With a constraint that allows everything as without one; prints what it saw."""
    torch.manual_seed(1)
    work = works.one_modality(works.SHAPES["tiny"])
    samples = len(work.spectra.modality_BS)
    both = [
        beam_search(work.model, work.spectra, beam=4, n_best=4, max_tokens=12, constraint=one)
        for one in (None, Anything(samples, tables.tokens))
    ]
    good = both[0] == both[1]
    print(f"correct: a constraint that allows everything changes nothing {'' if good else 'FAILED'}")
    return good


def run(name: str, shape: Shape, tables: FormulaTables, repeats: int) -> list[Row]:
    """All contestants of one shape."""
    device = tables.device
    torch.manual_seed(0)
    work = works.one_modality(shape).to(device, torch.float32).packed()
    limit, batch = 10 * shape.steps, shape.batch
    # About so many formulas as 10 ppm leave at 300 Da, each of them large enough.
    window = possible_formulas(Composition.of_mass(300.1474, 10), ["C", "N", "O", "S", "F", "Cl"]) or []
    many = [LARGE | {"C": 60 + extra} for extra in range(len(window))]
    contestants = {
        "unconstrained": lambda: decode(work, shape, None),
        "grammar": lambda: decode(work, shape, GrammarConstraint(tables, batch, limit)),
        "formula": lambda: decode(work, shape, FormulaConstraint(tables, [[LARGE]] * batch, limit)),
        "mass": lambda: decode(work, shape, FormulaConstraint(tables, [many] * batch, limit)),
    }
    for decoded in contestants.values():
        decoded()
    times: dict[str, list[tuple[float, float]]] = {one: [] for one in contestants}
    for _ in range(repeats):
        for one, decoded in contestants.items():
            started = time.perf_counter(), time.process_time()
            decoded()
            times[one].append((time.perf_counter() - started[0], time.process_time() - started[1]))
    first = _medians(times["unconstrained"])
    ceilings = runner.measure_ceilings(device, torch.float32, small=device.type != "cuda")
    cost = works.least_work(shape, shape.source_tokens, shape.settings.ffn_width, item=4)
    rows = []
    for one, seconds in times.items():
        wall, processor = _medians(seconds)
        print(
            f"{name:8} beam {shape.beam:3} {one:14} {1e3 * wall / shape.steps:8.3f} ms a step,"
            f" {wall / first[0]:.2f} times the unconstrained one ({processor / first[1]:.2f})",
            flush=True,
        )
        names = ("constraints", name, "float32", f"beam {shape.beam} {shape.batch}x{shape.steps}", one)
        rows.append(runner.make_row(names, [wall for wall, _ in seconds], cost, ceilings, "", device))
    return rows


def _medians(seconds: list[tuple[float, float]]) -> tuple[float, float]:
    wall, processor = zip(*seconds)
    return statistics.median(wall), statistics.median(processor)


def main() -> int:
    """Run and report; status 1 if a result is wrong."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shape", choices=SHAPES, nargs="+", default=list(SHAPES))
    parser.add_argument("--beam", type=int, nargs="+", default=[10, 50])
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--threads", type=int, help="of a CPU")
    parser.add_argument("--no-csv", action="store_true")
    options = parser.parse_args()
    if options.threads:
        torch.set_num_threads(options.threads)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if not nothing_changes(FormulaTables(build_grammar(vocabulary().tokens), torch.device("cpu"))):
        return 1
    tables = FormulaTables(build_grammar(vocabulary().tokens), device)
    print(runner.device_name(device))
    for name in options.shape:
        for beam in options.beam:
            rows = run(name, replace(SHAPES[name], beam=beam), tables, options.repeats)
            if not options.no_csv:
                runner.append(rows)
    return 0


if __name__ == "__main__":
    sys.exit(main())
