"""The values of a report's page, for its template: text that is ready to print, numbers rounded."""

import math
from collections.abc import Iterator, Mapping, Sequence
from statistics import median
from typing import Any

import numpy as np

from mmspec_ds.evaluation.equality import COUNTS, Compared, short_count, table_of
from mmspec_ds.evaluation.metrics import SHOWN_K, EvaluationResult
from mmspec_ds.figures.heat_maps import Map, written
from mmspec_ds.moe.experts import physical_order
from mmspec_ds.moe.routing_tables import FAMILIES, expert_names
from mmspec_ds.reporting.charts import DARK, LIGHT, by_family, expert_colours
from mmspec_ds.reporting.examples import Example, Examples, Proposal
from mmspec_ds.reporting.run_folder import Entry, RunFolder
from mmspec_ds.spectra.registry import REGISTRY

DRAWN_PROPOSALS = 4
"""Proposals drawn for each molecule, and validations shown of each molecule."""

SCORE_HEADS = ("", "molecules", "candidates", *(f"Top-{k} %" for k in SHOWN_K), "valid %", "Tanimoto")

RATES = {
    "tokens per second": "throughput/tokens_per_second",
    "samples per second": "throughput/samples_per_second",
    "GFLOP per second (matrices)": "resources/gigaflops_per_second",
    "MFLOP per token, forward and backward": "resources/megaflops_per_token",
    "peak memory of rank 0, GiB": "resources/memory_gib",
}


SHARES = {
    "active/feedforward_share": "FLOPs of a token's feed-forward part over a dense encoder of equal parameters",
    "active/encoder_share": "FLOPs of a token in the whole encoder over that of the dense one",
}


def page_content(folder: RunFolder, examples: Examples) -> dict[str, Any]:
    """Return the variables of `report.html`, except the figures."""
    return {
        "name": folder.run.name,
        "lead": _lead(folder),
        "tiles": list(_tiles(folder, examples)),
        "score_heads": SCORE_HEADS,
        "examples": _examples(folder, examples),
        "evaluations": {
            name: [[one, *_scores(result)] for one, result in results.items()]
            for name, results in folder.evaluations.items()
        },
        "trainings": {name: _trainings(results) for name, results in folder.evaluations.items()},
        "comparisons": folder.comparisons,
        "used": dict(_used(folder)),
        "routing": _routing(folder) if folder.run.moe is not None else None,
        "resources": list(_resources(folder)),
        "environment": [
            {"step": f"{one['step']:,}", "facts": dict(_environment(one))} for one in folder.of("start")
        ],
        "config": folder.config,
        "folder": folder.path.name,
        "path": folder.path,
    }


def _lead(folder: RunFolder) -> str:
    run, about, ended = folder.run, folder.about, folder.end
    state = "finished" if ended.get("finished") else "stopped" if ended else "not finished, so far"
    where = f" on {counted(about['ranks'], 'rank')}" if about else ""
    kind = "A dense model"
    if run.moe is not None:
        kind = f"A sparse model of {len(run.moe.experts)} experts, {run.moe.k} for each token"
    seconds = f" in {clock(ended['final/seconds'])}" if "final/seconds" in ended else ""
    return f"{kind}, {state}: {counted(folder.last_step, 'step')}{seconds}{where}."


def _tiles(folder: RunFolder, examples: Examples) -> Iterator[tuple[str, str]]:
    if folder.best is not None:
        yield f"best validation loss, step {folder.best[0]:,}", f"{folder.best[1]:.4f}"
    if examples.result is not None:
        yield f"Top-1 of {examples.result.n} molecules", f"{examples.result.top_k[1]:.0f} %"
        yield "Top-10", f"{examples.result.top_k[10]:.0f} %"
    if "parameters" in folder.about:
        yield "parameters", short(folder.about["parameters"])
    rates = folder.series("throughput/samples_per_second")[1]
    if rates:
        yield "samples per second, median", short(median(rates))
    memory = folder.series("resources/memory_gib")[1]
    if memory:
        yield "peak memory, rank 0", f"{max(memory):.2f} GiB"


def _trainings(results: Mapping[str, Entry]) -> dict[str, Any] | None:
    """A table of what the trainings of the evaluated models used; None where no file says so."""
    models = [Compared(name, one["training"]) for name, one in results.items() if "training" in one]
    heads, rows = table_of(models)
    return {"heads": heads, "rows": rows} if rows and len(heads) > 1 else None


def _used(folder: RunFolder) -> Iterator[tuple[str, str]]:
    """What the training used, and how much of a sparse encoder works on a token."""
    counts = folder.usage.to_json()
    for key, name in COUNTS.items():
        if counts.get(key) is not None:
            yield name, short_count(key, counts[key])
    for tag, name in SHARES.items():
        values = folder.series(tag, "validation")[1]
        if values and folder.run.moe is not None:
            yield name, f"{100 * values[-1]:.1f} %"


def _examples(folder: RunFolder, examples: Examples) -> dict[str, Any]:
    result: EvaluationResult | None = examples.result
    return {
        "remark": examples.remark,
        "result": list(_scores(result.to_json(), digits=1)) if result else None,
        "shown": [_example(one) for one in examples.shown],
        "growth": _growth(folder.of("proposals")),
    }


def _example(example: Example) -> dict[str, Any]:
    verdict = "wrong; the true structure is not among ten proposals"
    if example.rank is not None:
        verdict = f"wrong; the true structure is at rank {example.rank}"
    if example.rank == 1:
        verdict = "right at rank 1"
    ranks = list(range(1, min(DRAWN_PROPOSALS, len(example.proposals)) + 1))
    if example.rank is not None and example.rank > DRAWN_PROPOSALS:
        ranks[-1] = example.rank
    return {
        "id": example.id,
        "truth": example.truth,
        "kind": "right" if example.rank == 1 else "wrong",
        "verdict": verdict,
        "proposals": [_proposal(rank, example.proposals[rank - 1]) for rank in ranks],
    }


def _proposal(rank: int, one: Proposal) -> dict[str, str]:
    similarity = "" if one.similarity is None or one.right else f", similarity {one.similarity:.2f}"
    kind = "right" if one.right else "wrong"
    remark = f"score {one.score:.3f}{similarity}"
    return {"smiles": one.smiles, "title": f"{rank}. {kind}", "remark": remark, "kind": kind}


def _growth(entries: Sequence[Entry]) -> list[dict[str, Any]]:
    """The first proposal for the same molecules at some of the validations."""
    if not entries:
        return []
    count = min(DRAWN_PROPOSALS, len(entries))
    chosen = [entries[round(at * (len(entries) - 1) / max(count - 1, 1))] for at in range(count)]
    found = []
    for at, molecule in enumerate(chosen[-1]["examples"]):
        firsts = [(entry["step"], entry["examples"][at]["proposals"][0]) for entry in chosen]
        proposals = []
        for step, best in firsts:
            kind = "right" if best["right"] else "wrong"
            proposals.append({"smiles": best["smiles"], "title": f"step {step:,}: {kind}", "kind": kind})
        found.append({"id": molecule["id"], "truth": molecule["truth"], "proposals": proposals})
    return found


def _routing(folder: RunFolder) -> dict[str, Any]:
    assert folder.run.moe is not None
    experts = physical_order(folder.run.moe.experts)
    names = expert_names(folder.run.moe.experts)
    light, dark = expert_colours(experts, LIGHT), expert_colours(experts, DARK)
    dropped = [value for tag in folder.tags("dropped/") for value in folder.series(tag)[1]]
    return {
        "k": folder.run.moe.k,
        "experts": [
            {"name": " ".join(names[at].split()), "light": light[at], "dark": dark[at]}
            for at in by_family(experts)
        ],
        "maps": [_map_table(one) for one in maps(folder)],
        "nothing_dropped": bool(dropped) and not any(dropped),
    }


def maps(folder: RunFolder) -> list[Map]:
    """Return the heat maps of the last validation: layers by experts for each modality, families, conflict."""
    moe, table = folder.run.moe, folder.routing
    if moe is None or table is None:
        return []
    chosen = folder.run.data.chosen_modalities()
    labels = [REGISTRY[modality].label for modality in chosen]
    order = by_family(physical_order(moe.experts))
    names = [expert_names(moe.experts)[number] for number in order]
    layers = [f"layer {layer}" for layer in range(len(table.load_YME))]
    found = [
        Map(f"{label} tokens", table.share_YME[:, modality][:, order], layers, names, high=1 / moe.k)
        for modality, label in zip(chosen, labels)
    ]
    found.append(Map("Families of experts", table.families_FM(moe.experts)[:, chosen], FAMILIES, labels))
    conflicts = folder.of("conflict")
    if conflicts:
        cosine_MM = np.full((len(chosen), len(chosen)), np.nan)
        for at, one in enumerate(chosen):
            for to, other in enumerate(chosen[at + 1 :], at + 1):
                tag = f"conflict/{one.name.lower()}_{other.name.lower()}"
                cosine_MM[at, to] = cosine_MM[to, at] = conflicts[-1].get(tag, np.nan)
        title = "Cosine between the modalities' gradients, shared experts"
        found.append(Map(title, cosine_MM, labels, labels, low=-1.0, high=1.0, diverging=True))
    return found


def _map_table(content: Map) -> dict[str, Any]:
    rows = zip(content.rows, content.values_RC.tolist())
    return {
        "title": content.title,
        "upright": any("\n" in name for name in content.columns),
        "columns": [" ".join(name.split()) for name in content.columns],
        "rows": [(name, [_map_cell(content, value) for value in values]) for name, values in rows],
    }


def _map_cell(content: Map, value: float) -> dict[str, Any] | None:
    """Text and colour of a cell. `strength`, 0 to 1, is the distance from the low end or, for values with a
    sign, from 0."""
    if math.isnan(value):
        return None
    zero = 0.0 if content.diverging else content.low
    strength = min(1.0, abs(value - zero) / (content.high - zero))
    kinds = ["against"] * (content.diverging and value < 0) + ["full"] * (strength > 0.62)
    return {"text": written(value), "strength": strength, "classes": " ".join(kinds)}


def _resources(folder: RunFolder) -> Iterator[list[str]]:
    for name, tag in RATES.items():
        values = folder.series(tag)[1]
        if values:
            low, high = np.percentile(values, (10, 90))
            yield [name, *(f"{value:,.4g}" for value in (median(values), low, high))]


def _environment(entry: Entry) -> Iterator[tuple[str, str]]:
    processes = f"{counted(entry['ranks'], 'rank')} of {counted(entry['threads'], 'thread')}"
    yield "device", f"{entry['device']}, {processes}"
    yield "expert-parallel size", str(entry["ep_size"])
    yield "system", entry["system"]
    yield "commit", entry["commit"] or "not known"
    yield "versions", ", ".join(f"{name} {number}" for name, number in entry["versions"].items())
    yield "molecules", ", ".join(f"{count:,} for {part}" for part, count in entry["molecules"].items())
    yield "parameters", f"{entry['parameters']:,}"


def _scores(result: Mapping[str, Any], digits: int = 2) -> Iterator[str]:
    yield f"{result['n']:,}"
    yield result.get("rule", "raw")  # as files of earlier versions have it
    yield from (f"{result[f'top_{k}']:.{digits}f}" for k in SHOWN_K)
    yield f"{result['validity']:.{digits}f}"
    yield f"{result['tanimoto']:.3f}"


def clock(seconds: float) -> str:
    """Return a time in its largest two units; the second is left out where it is 0."""
    rest, units = round(seconds), list[str]()
    for size, name in ((3600, "h"), (60, "min"), (1, "s")):
        count, rest = divmod(rest, size)
        if count or (size == 1 and not units):
            units.append(f"{count}\u00a0{name}")
    return " ".join(units[:2])


def counted(number: int, what: str) -> str:
    """Return a number with its noun, in the singular or the plural."""
    return f"{number:,} {what}{'' if number == 1 else 's'}"


def short(number: float) -> str:
    """Return a number in three digits, with k, M or G."""
    for size, letter in ((1e9, "G"), (1e6, "M"), (1e4, "k")):
        if number >= size:
            scaled = number / (1e3 if letter == "k" else size)
            return f"{scaled:.3g} {letter}"
    return f"{number:,.3g}" if number < 1000 else f"{number:,.0f}"
