"""The sections of a report, each from what is known; what is not known is told in a sentence."""

from collections.abc import Iterator, Mapping
from statistics import median

import numpy as np

from mmspec_ds.figures.maps import Map
from mmspec_ds.moe.experts import physical_order
from mmspec_ds.reporting.charts import DARK, LIGHT, Drawing, by_family, expert_colours
from mmspec_ds.reporting.examples import Examples
from mmspec_ds.reporting.folder import Entry, RunFolder
from mmspec_ds.reporting.html import escape, facts, map_table, picture, section, table, tiles
from mmspec_ds.spectra.registry import REGISTRY
from mmspec_ds.systems.elucidation.routing import FAMILIES, expert_names

Pictures = Mapping[str, tuple[Drawing, bytes, bytes]]
"""By the name of a drawing: it, as PNG for light pages, and for dark ones."""


def head(folder: RunFolder, examples: Examples) -> str:
    """Name, what became of the run in a sentence, and the figures that are asked for first."""
    run, about = folder.run, folder.about
    ended = folder.end
    state = "finished" if ended.get("finished") else "stopped" if ended else "not finished, so far"
    where = f" on {counted(about['ranks'], 'rank')}" if about else ""
    kind = "A dense model"
    if run.moe is not None:
        kind = f"A sparse model of {len(run.moe.experts)} experts, {run.moe.k} for each token"
    seconds = f" in {clock(ended['final/seconds'])}" if "final/seconds" in ended else ""
    lead = f"{kind}, {state}: {counted(folder.last_step, 'step')}{seconds}{where}."
    figures = []
    if folder.best is not None:
        figures.append((f"best validation loss, step {folder.best[0]:,}", f"{folder.best[1]:.4f}"))
    if examples.result is not None:
        figures.append((f"Top-1 of {examples.result.n} molecules", f"{examples.result.top_k[1]:.0f} %"))
        figures.append(("Top-10", f"{examples.result.top_k[10]:.0f} %"))
    if "parameters" in about:
        figures.append(("parameters", short(about["parameters"])))
    rates = folder.series("throughput/samples_per_second")[1]
    if rates:
        figures.append(("samples per second, median", short(median(rates))))
    memory = folder.series("resources/memory_gib")[1]
    if memory:
        figures.append(("peak memory, rank 0", f"{max(memory):.2f} GiB"))
    return f'<h1>{escape(run.name)}</h1>\n<p class="lead">{escape(lead)}</p>\n{tiles(figures)}'


def learning(folder: RunFolder, pictures: Pictures) -> str:
    """The curves of losses, schedules and gradient."""
    return section("learning", "Learning", figures(pictures))


def routing(folder: RunFolder, pictures: Pictures) -> str:
    """What the routers did at the last validation, and how it came to that."""
    if folder.run.moe is None:
        return ""
    parts = [figures(pictures, {"load": expert_legend(folder)})]
    tables = maps(folder)
    if tables:
        words = (
            "The share of the token-expert pairs of each modality that each expert was chosen for, at the last"
            f" validation. With {folder.run.moe.k} experts a token, no share exceeds"
            f" {1 / folder.run.moe.k:.2f}."
        )
        parts += [f'<p class="pale">{words}</p>', f'<div class="maps">{"".join(map(map_table, tables))}</div>']
    dropped = [value for tag in folder.tags("dropped/") for value in folder.series(tag)[1]]
    if dropped and not any(dropped):
        parts.append('<p class="pale">No token was dropped for want of capacity.</p>')
    return section("routing", "Routing", *parts)


def maps(folder: RunFolder) -> list[Map]:
    """The maps of the last validation: layers by experts for each modality, families, conflict."""
    moe, table_of = folder.run.moe, folder.routing
    if moe is None or table_of is None:
        return []
    chosen = folder.run.data.chosen_modalities()
    labels = [REGISTRY[modality].label for modality in chosen]
    order = by_family(physical_order(moe.experts))
    names = [expert_names(moe.experts)[number] for number in order]
    layers = [f"layer {layer}" for layer in range(len(table_of.load_YME))]
    found = [
        Map(f"{label} tokens", table_of.share_YME[:, modality][:, order], layers, names, high=1 / moe.k)
        for modality, label in zip(chosen, labels)
    ]
    found.append(Map("Families of experts", table_of.families_FM(moe.experts)[:, chosen], FAMILIES, labels))
    told = folder.of("conflict")
    if told:
        cosine_MM = np.full((len(chosen), len(chosen)), np.nan)
        for at, one in enumerate(chosen):
            for to, other in enumerate(chosen[at + 1 :], at + 1):
                tag = f"conflict/{one.name.lower()}_{other.name.lower()}"
                cosine_MM[at, to] = cosine_MM[to, at] = told[-1].get(tag, np.nan)
        title = "Cosine between the modalities' gradients, shared experts"
        found.append(Map(title, cosine_MM, labels, labels, low=-1.0, high=1.0, diverging=True))
    return found


def resources(folder: RunFolder, pictures: Pictures) -> str:
    """Rates and memory."""
    names = {
        "tokens per second": "throughput/tokens_per_second",
        "samples per second": "throughput/samples_per_second",
        "GFLOP per second (matrices)": "resources/gigaflops_per_second",
        "MFLOP per token, forward and backward": "resources/megaflops_per_token",
        "peak memory of rank 0, GiB": "resources/memory_gib",
    }
    rows = []
    for name, tag in names.items():
        values = folder.series(tag)[1]
        if values:
            low, high = np.percentile(values, (10, 90))
            rows.append([name, *(f"{value:,.4g}" for value in (median(values), low, high))])
    heads = ("", "median", "10th percentile", "90th percentile")
    return section("resources", "Resources", figures(pictures, first=table(heads, rows)))


def evaluation(folder: RunFolder) -> str:
    """The tables of `mmspec evaluate --json` that lie in the folder."""
    if not folder.evaluations:
        words = (
            f"None: <code>mmspec evaluate {escape(folder.path.name)} --data FILE --json "
            f"{escape(folder.path.name)}/evaluation.json</code> puts figures here."
        )
        return section("evaluation", "Evaluation", f'<p class="pale">{words}</p>')
    heads = ("", "molecules", *(f"Top-{k} %" for k in (1, 3, 5, 10)), "valid %", "Tanimoto")
    parts = []
    for name, results in folder.evaluations.items():
        rows = [[one, *_figures(result)] for one, result in results.items()]
        parts += [f"<h3>{escape(name)}</h3>", table(heads, rows)]
    return section("evaluation", "Evaluation", *parts)


def environment(folder: RunFolder) -> str:
    """Versions, device, ranks, commit; for each part of a run that was resumed."""
    starts = folder.of("start")
    if not starts:
        return section("environment", "Environment", '<p class="pale">The run does not tell.</p>')
    parts = []
    for entry in starts:
        if len(starts) > 1:
            parts.append(f"<h3>from step {entry['step']:,}</h3>")
        parts.append(facts(dict(_environment(entry))))
    return section("environment", "Environment", *parts)


def configuration(folder: RunFolder) -> str:
    """The settings as the run wrote them down."""
    shown = f"<details open><summary>config.yaml</summary><pre>{escape(folder.config)}</pre></details>"
    return section("configuration", "Configuration", shown)


def figures(pictures: Pictures, below: Mapping[str, str] | None = None, first: str = "") -> str:
    """Pictures side by side where there is room; `below` is HTML for below some of them, `first` for the first
    place."""
    shown = (
        f"<figure>{picture(light, dark, drawing.words)}{(below or {}).get(name, '')}</figure>"
        for name, (drawing, light, dark) in pictures.items()
    )
    return f'<div class="figures">{first}{"".join(shown)}</div>'


def expert_legend(folder: RunFolder) -> str:
    """The colours of the experts, family after family."""
    assert folder.run.moe is not None
    experts = physical_order(folder.run.moe.experts)
    colours = list(zip(expert_colours(experts, LIGHT), expert_colours(experts, DARK)))
    names = expert_names(folder.run.moe.experts)
    items = (
        f'<li><span class="swatch" style="--light:{colours[at][0]};--dark:{colours[at][1]}"></span>'
        f"{escape(' '.join(names[at].split()))}</li>"
        for at in by_family(experts)
    )
    return f'<ul class="legend">{"".join(items)}</ul>'


def clock(seconds: float) -> str:
    """A time in its largest two units; the second one is left out where it is 0."""
    rest, units = round(seconds), list[str]()
    for size, name in ((3600, "h"), (60, "min"), (1, "s")):
        count, rest = divmod(rest, size)
        if count or (size == 1 and not units):
            units.append(f"{count}\u00a0{name}")
    return " ".join(units[:2])


def counted(number: int, what: str) -> str:
    """A number of things, in the singular or the plural."""
    return f"{number:,} {what}{'' if number == 1 else 's'}"


def short(number: float) -> str:
    """Three digits, with k, M or G."""
    for size, letter in ((1e9, "G"), (1e6, "M"), (1e4, "k")):
        if number >= size:
            scaled = number / (1e3 if letter == "k" else size)
            return f"{scaled:.3g} {letter}"
    return f"{number:,.3g}" if number < 1000 else f"{number:,.0f}"


def _figures(result: Entry) -> Iterator[str]:
    yield f"{result['n']:,}"
    yield from (f"{result[f'top_{k}']:.2f}" for k in (1, 3, 5, 10))
    yield f"{result['validity']:.2f}"
    yield f"{result['tanimoto']:.3f}"


def _environment(entry: Entry) -> Iterator[tuple[str, str]]:
    yield "device", f"{entry['device']}, {_processes(entry)}"
    yield "expert-parallel size", str(entry["ep_size"])
    yield "system", entry["system"]
    yield "commit", entry["commit"] or "not known"
    yield "versions", ", ".join(f"{name} {number}" for name, number in entry["versions"].items())
    yield "molecules", ", ".join(f"{count:,} for {part}" for part, count in entry["molecules"].items())
    yield "parameters", f"{entry['parameters']:,}"


def _processes(entry: Entry) -> str:
    return f"{counted(entry['ranks'], 'rank')} of {counted(entry['threads'], 'thread')}"
