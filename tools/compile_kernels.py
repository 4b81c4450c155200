"""Compile every kernel for every class of device without a GPU, and check the machine code.

    PYTHONPATH=kernels python tools/compile_kernels.py [--target sm_90] [--variant gelu] [--jobs 2]

It needs torch and triton alone, and no GPU: Triton brings its assemblers along. The check fails when a
kernel spills registers, or when a matrix product has no instruction of the device's matrix unit: HMMA on sm_80,
HGMMA on sm_90, tcgen05 (UTCHMMA in machine code) on sm_100, MFMA on gfx942. Run it without TRITON_INTERPRET.
"""

import argparse
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import triton
from mmspec_kernels import kernels_backward, kernels_combine, kernels_dispatch, kernels_forward, kernels_route
from mmspec_kernels.launch_table import (
    COMBINE_FEATURES,
    COMBINE_POOLS,
    COMBINE_TOKENS,
    PAIR_BLOCK,
    PAIR_FEATURES,
    ROUTE_FEATURES,
    ROUTE_TOKENS,
    SCAN_BLOCK,
    SORT_BLOCK,
    TILE_CHUNK,
    Launch,
    Step,
    Target,
    launch_for,
)
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource

TARGETS: dict[Target, GPUTarget] = {
    "sm_80": GPUTarget("cuda", 80, 32),
    "sm_90": GPUTarget("cuda", 90, 32),
    "sm_100": GPUTarget("cuda", 100, 32),
    "gfx942": GPUTarget("hip", "gfx942", 64),
}
MATRIX_INSTRUCTION: dict[Target, str] = {
    "sm_80": r"\bHMMA\b", "sm_90": r"\bHGMMA\b", "sm_100": r"\bUTC\w*MMA\b", "gfx942": r"\bv_mfma_",
}  # fmt: skip

D_MODEL = 512
WIDTHS = (2048, 512) * 4
"""The paper's layer."""

INTEGERS = {"depth", "length", "rows", "tokens", "pairs", "blocks", "first", "expert", "row", "columns"}
FLOATS = {"inverse_temperature", "share"}
POINTERS = {
    "*i64": {"geometry_ptr", "modality_ptr"},
    "*i32": {
        "pair_ptr", "tile_ptr", "place_ptr", "total_ptr", "wide_ptr", "narrow_ptr", "count_ptr",
        "block_count_ptr", "block_first_ptr",
    },
    "*fp32": {
        "weight_ptr", "dot_ptr", "sum_ptr", "mass_ptr", "dsum_ptr", "dmass_ptr", "dw1_ptr", "db1_ptr",
        "dw2_ptr", "db2_ptr", "prior_ptr", "selection_ptr",
        "chosen_ptr", "probability_ptr", "lse_ptr", "logit_ptr", "dchosen_ptr", "dprobability_ptr", "dlse_ptr",
        "dlogit_ptr", "dweight_ptr",
    },
}  # fmt: skip


@dataclass(frozen=True)
class Job:
    """One kernel in one launch for one target."""

    kernel: str
    variant: str
    target: Target
    constants: tuple[tuple[str, Any], ...]
    types: tuple[tuple[str, str], ...]
    step: Step
    is_product: bool


@dataclass(frozen=True)
class Outcome:
    """The result of a job; `problem` is empty when it passed."""

    job: Job
    registers: int
    shared_bytes: int
    spills: int
    matrix_instructions: int
    problem: str


def kernel_named(name: str) -> Any:
    """The kernel of that name."""
    modules = (kernels_forward, kernels_backward, kernels_combine, kernels_dispatch, kernels_route)
    return next(getattr(m, name) for m in modules if hasattr(m, name))


def _product_constants(launch: Launch, gated: bool, even: bool) -> Iterator[tuple[str, dict[str, Any], Step]]:
    """Kernel, constants and inner loop of every matrix product in one launch."""
    scale, columns = (2 if gated else 1), sum(WIDTHS)
    first_writes = 2 * launch.narrow < D_MODEL
    common: dict[str, Any] = {
        "D": D_MODEL, "GATHER": True, "EVEN_D": even, "EVEN_F": even, "PRECISION": "ieee"
    }  # fmt: skip
    over_rows = {**common, "GATED": gated, "BM": launch.rows}
    yield "first_product", {
        **over_rows, "PACKED": columns * scale, "TOPK": 2, "STORE_PRE": True, "STORE_ACT": first_writes,
        "BN": launch.wide, "BK": launch.first.inner,
    }, launch.first  # fmt: skip
    for activate in (False, True):
        yield (
            "second_product",
            {**over_rows, "ACTIVATE": activate, "BN": launch.narrow, "BK": launch.second.inner},
            launch.second,
        )
    # With pools each pair has an output gradient of its own, as if there were one choice.
    for top_k in (1, 2):
        yield "hidden_gradient", {
            **over_rows, "TOPK": top_k, "PARTS": launch.hidden_parts, "BN": launch.wide // launch.hidden_parts,
            "BK": launch.hidden_gradient.inner,
        }, launch.hidden_gradient  # fmt: skip
    yield "input_gradient", {
        **over_rows, "PACKED": columns * scale, "BN": launch.narrow, "BK": launch.input_gradient.inner
    }, launch.input_gradient  # fmt: skip
    tile = launch.first_weight
    yield "first_weight_gradient", {
        **common, "GATED": gated, "WIDTHS": WIDTHS, "PACKED": columns * scale, "TOPK": 2, "SPLITS": 4,
        "BM": tile.rows, "BN": tile.columns, "BK": tile.step.inner,
    }, tile.step  # fmt: skip
    tile = launch.second_weight
    for top_k in (1, 2):
        yield "second_weight_gradient", {
            **common, "WIDTHS": WIDTHS, "PACKED": columns, "TOPK": top_k, "SPLITS": 4,
            "BM": tile.rows, "BN": tile.columns, "BK": tile.step.inner,
        }, tile.step  # fmt: skip


def _small_kernels() -> Iterator[tuple[str, dict[str, Any], dict[str, str]]]:
    """Kernel, constants and types of everything that is not bound by matrix products."""
    experts = len(WIDTHS)
    sizes = {"EXPERTS": experts, "BUCKETS": 16}
    index, rows = {"index_ptr": "*i64"}, {"row_ptr": "*i64"}
    combination = {"D": D_MODEL, "TOPK": 2, "BLOCK": COMBINE_TOKENS, "BLOCK_D": COMBINE_FEATURES}
    pairs = {"D": D_MODEL, "TOPK": 2, "BLOCK": PAIR_BLOCK, "BLOCK_D": PAIR_FEATURES}
    yield "count_pairs", {**sizes, "BLOCK": SORT_BLOCK}, index
    yield "scan_counts", {**sizes, "CHUNK": SCAN_BLOCK}, {}
    yield "place_pairs", {**sizes, "BLOCK": SORT_BLOCK}, {**index, "row_ptr": "*i32"}
    yield "schedule", {
        "WIDTHS": WIDTHS, "RANKS": (0, 4, 1, 5, 2, 6, 3, 7), "D": D_MODEL, "BM": 128, "BN": 128,
        "NARROW_BN": 128, "GROUP": 8, "CHUNK": TILE_CHUNK,
    }, {}  # fmt: skip
    for indexed in (False, True):
        yield "combine_rows", {**combination, "INDEXED": indexed, "WEIGHTED": indexed}, rows
        yield (
            "combine_and_pool",
            {**combination, "INDEXED": indexed, "POOLS": 19, "BLOCK_P": COMBINE_POOLS},
            rows,
        )
        yield "combine_rows_gradient", {**pairs, "POOLED": indexed}, rows
    yield "pair_gradient", combination, {}
    yield "score_gradient", {**pairs, "WIDTHS": WIDTHS, "COLUMN": 128}, {"out_ptr": "*fp32"}
    route = {"D": D_MODEL, "E": experts, "EP": 16, "BLOCK": ROUTE_TOKENS, "BLOCK_D": ROUTE_FEATURES}
    for sigmoid in (False, True):
        gates = {**route, "TOPK": 2, "SIGMOID": sigmoid, "RENORMALISE": True}
        yield "route_tokens", {**gates, "PRIOR": True, "SELECTION": 1 + sigmoid}, index
        yield "route_gradient", gates, index
    yield "route_weight_gradient", {**route, "SPLITS": 8}, {}


VARIANTS: dict[str, tuple[bool, bool, float]] = {
    "gelu": (False, True, float("inf")),
    "gelu-few": (False, True, 1.0),
    "gelu-masked": (False, False, float("inf")),
    "swiglu": (True, True, float("inf")),
    "swiglu-few": (True, True, 1.0),
    "swiglu-masked": (True, False, float("inf")),
}
"""Gated, sizes that need no masks, rows per expert."""


def jobs(targets: Sequence[Target], variants: Sequence[str]) -> list[Job]:
    """All jobs of these targets and variants."""
    found = []
    for target in targets:
        for name in variants:
            if name == "small":
                for kernel, constants, types in _small_kernels():
                    step = Step(0, 4, 2)
                    found.append(
                        Job(kernel, name, target, tuple(constants.items()), tuple(types.items()), step, False)
                    )
                continue
            gated, even, rows = VARIANTS[name]
            for kernel, constants, step in _product_constants(
                launch_for(target, gated, rows, even), gated, even
            ):
                found.append(Job(kernel, name, target, tuple(constants.items()), (), step, True))
    return found


def _type_of(argument: str, job: Job) -> str:
    given = dict(job.types)
    if argument in given:
        return given[argument]
    if argument in INTEGERS:
        return "i32"
    if argument in FLOATS:
        return "fp32"
    return next((kind for kind, names in POINTERS.items() if argument in names), "*bf16")


def compile_job(job: Job) -> Outcome:
    """Compile one job and read its machine code."""
    kernel = kernel_named(job.kernel)
    constants = dict(job.constants)
    names = kernel.arg_names
    signature = {n: "constexpr" if n in constants else _type_of(n, job) for n in names}
    source = ASTSource(
        kernel,
        signature,
        constexprs={(names.index(n),): value for n, value in constants.items()},
        attrs={(i,): [["tt.divisibility", 16]] for i, n in enumerate(names) if signature[n].startswith("*")},
    )
    options = {"num_warps": job.step.warps, "num_stages": job.step.stages}
    try:
        compiled = triton.compile(source, target=TARGETS[job.target], options=options)
    except Exception as error:  # whatever the compiler raises is the finding
        return Outcome(job, 0, 0, 0, 0, f"does not compile: {str(error).splitlines()[-1]}")
    registers, spills, code = (_read_amd if job.target == "gfx942" else _read_nvidia)(compiled)
    matrix = len(re.findall(MATRIX_INSTRUCTION[job.target], code))
    problem = f"{spills} spills" if spills else ""
    if job.is_product and not matrix:
        problem = "no matrix instruction"
    return Outcome(job, registers, compiled.metadata.shared, spills, matrix, problem)


def _read_amd(compiled: Any) -> tuple[int, int, str]:
    code = compiled.asm["amdgcn"]

    def number(key: str) -> int:
        found = re.search(rf"\.{key}: *(\d+)", code)
        assert found is not None, f"no .{key} in the assembly"
        return int(found.group(1))

    return number("vgpr_count"), number("vgpr_spill_count"), code


def _read_nvidia(compiled: Any) -> tuple[int, int, str]:
    tools = Path(triton.__file__).parent / "backends" / "nvidia" / "bin"
    with tempfile.NamedTemporaryFile(suffix=".cubin") as file:
        file.write(compiled.asm["cubin"])
        file.flush()
        usage, code = (
            subprocess.run([str(tools / tool), option, file.name], capture_output=True, text=True, check=True)
            for tool, option in (("cuobjdump", "-res-usage"), ("nvdisasm", "-c"))
        )
    found = re.search(r"REG:(\d+) STACK:(\d+)", usage.stdout + usage.stderr)
    assert found is not None, usage.stdout + usage.stderr
    spills = len(re.findall(r"\b(?:STL|LDL)\b", code.stdout))
    # A stack frame means an array in local memory, which is as slow as a spill.
    return int(found.group(1)), max(spills, int(found.group(2)) // 4), code.stdout


HEAD = f"{'kernel':24} {'variant':14} {'target':7} {'registers':>9} {'shared':>7} {'spills':>6} {'matrix':>6}"


def line(outcome: Outcome) -> str:
    """The table's line of an outcome."""
    job = outcome.job
    return (
        f"{job.kernel:24} {job.variant:14} {job.target:7} {outcome.registers:9} {outcome.shared_bytes:7} "
        f"{outcome.spills:6} {outcome.matrix_instructions:6}  {outcome.problem or 'ok'}"
    )


def compile_all(todo: Sequence[Job], processes: int) -> Iterator[Outcome]:
    """Outcomes in order. A compiler that crashes takes its process along, and is reported as a failure."""
    left = list(todo)
    while left:
        try:
            with ProcessPoolExecutor(processes, mp_context=get_context("spawn")) as pool:
                for outcome in pool.map(compile_job, list(left)):
                    left.pop(0)
                    yield outcome
        except BrokenProcessPool:
            yield _compile_alone(left.pop(0))


def _compile_alone(job: Job) -> Outcome:
    """The outcome of the job that may have crashed the compiler."""
    try:
        with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
            return pool.submit(compile_job, job).result()
    except BrokenProcessPool:
        return Outcome(job, 0, 0, 0, 0, "the compiler crashed")


def main(arguments: Sequence[str] | None = None) -> int:
    """Compile, print the table, and return 1 if anything failed."""
    every = [*VARIANTS, "small"]
    parser = argparse.ArgumentParser(prog="compile_kernels.py", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--target", choices=list(TARGETS), action="append", help="default: all")
    parser.add_argument("--variant", choices=every, action="append", help="default: all")
    parser.add_argument("--jobs", type=int, default=2, help="processes; default 2")
    chosen = parser.parse_args(arguments)
    if not isinstance(kernels_forward.first_product, triton.JITFunction):
        print("error: TRITON_INTERPRET is set; the check needs the compiler", file=sys.stderr)
        return 2
    todo = jobs(chosen.target or list(TARGETS), chosen.variant or every)
    failed = 0
    print(HEAD)
    for outcome in compile_all(todo, chosen.jobs):
        failed += bool(outcome.problem)
        print(line(outcome), flush=True)
    print(f"{len(todo)} kernels compiled, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
