"""What experts and states become while a model learns: figures 6, 7 and 8.

Axes: Y layers, E experts, F families, M modalities.
"""

from collections.abc import Mapping, Sequence
from itertools import cycle
from typing import Any

import numpy as np

from mmspec_ds.figures.heat_maps import Map, draw_maps
from mmspec_ds.moe.experts import physical_order
from mmspec_ds.spectra.registry import REGISTRY, modality_by_name
from mmspec_ds.studies.cells import settings_of
from mmspec_ds.studies.elucidation.definitions.drawing import COLOURS, PALE, Axes, as_png, draw
from mmspec_ds.studies.elucidation.definitions.layout import equal_lines
from mmspec_ds.studies.elucidation.definitions.variants import SPARSE, STANDARD, Variant, equal_active
from mmspec_ds.studies.lookup import NOTHING, first_result, over_seeds
from mmspec_ds.studies.plan import Budget, Cell, Column, Entry, FigureFile, Results, Row, Study, Table
from mmspec_ds.systems.elucidation.run_settings import ElucidationRun

SNAPSHOTS = 6
"""Times at which a run keeps its weights."""


def _kept(budget: Budget) -> tuple[Variant, Variant]:
    """The dense and the sparse model, which keep their weights at several steps."""
    dense, keep = equal_active(budget), {"snapshots": SNAPSHOTS}
    return dense.but(dense.name, training=keep), SPARSE.but(SPARSE.name, training=keep)


def _kept_cells(budget: Budget) -> list[Cell]:
    return [cell for one in _kept(budget) for cell in one.cells(budget.seeds, (*STANDARD, "history"))]


def _label(modality: str) -> str:
    """A modality's name for readers."""
    return REGISTRY[modality_by_name(modality)].label


def _state_tables(results: Results) -> list[Table]:
    variants = _kept(results.budget)
    steps = _steps(results, variants)
    rows = []
    for key, words in (("silhouette", "silhouette"), ("separability", "nearest neighbour of its modality")):
        for one in variants:
            values = {
                str(at): over_seeds(results, one.cell(), "history", ("snapshots", at, key))
                for at in range(len(steps))
            }
            rows.append(Row(one.name, values, group=words))
    return [
        Table(
            title="Figure 6 in numbers. How far apart the modalities' states are",
            columns=[Column(str(at), f"step {step:,}", paper=False) for at, step in enumerate(steps)],
            rows=rows,
            names="model",
            about=equal_lines(results, variants),
            notes=(
                "A point is the mean encoder state of a molecule's tokens of one modality. Silhouette: -1 to"
                " 1, 1 where modalities lie well apart, computed in the whole space. Nearest neighbour: the"
                " share of points whose nearest point of another molecule is of the same modality.",
            ),
        )
    ]


def _steps(results: Results, variants: Sequence[Variant]) -> list[int]:
    found = (first_result(results, one.cell(), "history") for one in variants)
    return next((list(one["steps"]) for one in found if one is not None), [])


def _state_figures(results: Results) -> list[FigureFile]:
    variants = _kept(results.budget)
    histories = {one.name: first_result(results, one.cell(), "history") for one in variants}
    present = {name: one for name, one in histories.items() if one is not None}
    if not present:
        return []
    figures = []
    for key, words in (("pca", "two principal components"), ("tsne", "t-SNE")):
        if all(key in snapshot for one in present.values() for snapshot in one["snapshots"]):
            caption = (
                f"Encoder states over training, {words}; one point for each molecule and modality, averaged"
                " over its tokens. Rows: models; columns: steps. Every panel has its own axes. The first seed"
                " is drawn."
            )
            figures.append(FigureFile(f"representations_{key}", _states_picture(present, key), caption))
    return figures


def _states_picture(histories: Mapping[str, dict[str, Any]], key: str) -> bytes:
    columns = max(len(one["steps"]) for one in histories.values())

    def fill(panels: Sequence[Sequence[Axes]]) -> None:
        for row, (name, history) in zip(panels, histories.items()):
            for at, (axes, step, snapshot) in enumerate(zip(row, history["steps"], history["snapshots"])):
                _scatter(axes, snapshot, key)
                axes.set_title(f"step {step:,}")
                if at == 0:
                    axes.set_ylabel(name)
        panels[0][-1].legend(fontsize=8, frameon=False, loc="center left", bbox_to_anchor=(1.0, 0.5),
                             handletextpad=0.1, markerscale=3)  # fmt: skip

    return draw((1.9 * columns + 1.2, 1.9 * len(histories) + 0.3), len(histories), columns, fill)


def _scatter(axes: Axes, snapshot: Mapping[str, Any], key: str) -> None:
    points, names = np.array(snapshot[key]), np.array(snapshot["modality"])
    for number, name in enumerate(dict.fromkeys(snapshot["modality"])):
        own = names == name
        axes.scatter(*points[own].T, s=4, color=COLOURS[number], label=_label(name), linewidths=0)
    axes.set_xticks([])
    axes.set_yticks([])


REPRESENTATIONS = Study(
    "representations",
    "Figure 6. Encoder states over training",
    "Whether the states of the modalities keep apart, in the dense and in the sparse model, at several steps"
    " of the training.",
    _kept_cells,
    _state_tables,
    _state_figures,
)


def _sparse_cells(budget: Budget) -> list[Cell]:
    return SPARSE.cells(budget.seeds, (*STANDARD, "routing", "conflict"))


def _layers(found: Mapping[str, Any] | None) -> int:
    return 0 if found is None else len(found["share_all"])


def _use_tables(results: Results) -> list[Table]:
    cell = SPARSE.cell()
    found = first_result(results, cell, "routing")
    names = [] if found is None else list(found["modalities"])
    experts = 0 if found is None else len(found["experts"])
    layers = range(_layers(found))
    effective = [Row(f"layer {layer}", _spread(results, cell, layer, names)) for layer in layers]
    families = [] if found is None else list(found["family_names"])
    shares = [
        Row(
            family,
            {m: over_seeds(results, cell, "routing", ("families", row, at)) for at, m in enumerate(names)},
        )
        for row, family in enumerate(families)
    ]
    labels = {name: _label(name) for name in names}
    by_name = [Column(name, label, paper=False) for name, label in labels.items()]
    entropies = [Column(f"{name} h", f"entropy, {label}", paper=False) for name, label in labels.items()]
    return [
        Table(
            title=f"Figure 7 in numbers. Effective number of the {experts} experts",
            columns=[Column("all", "all tokens", paper=False), *by_name, *entropies],
            rows=effective,
            names="layer",
            about=equal_lines(results, [SPARSE]),
            notes=(
                "exp(H) of the shares of an expert among token-expert pairs: all experts for an even load, 1"
                " where one has all. Entropy: of a token's router, in nats, mean over tokens.",
            ),
        ),
        Table(
            title="Share of each family among the pairs of a modality, over all layers",
            columns=by_name,
            rows=shares,
            names="family",
            notes=("Families differ in name alone where the structural term is not in the objective.",),
        ),
        _conflict_table(results, cell),
    ]


def _spread(results: Results, cell: Cell, layer: int, names: Sequence[str]) -> dict[str, Entry]:
    """Effective numbers of a layer, and its router's entropy for each modality."""
    entries: dict[str, Entry] = {"all": over_seeds(results, cell, "routing", ("effective", layer))}
    for at, name in enumerate(names):
        entries[name] = over_seeds(results, cell, "routing", ("effective_by_modality", layer, at))
        entries[f"{name} h"] = over_seeds(results, cell, "routing", ("entropy", layer, at))
    return entries


def _conflict_table(results: Results, cell: Cell) -> Table:
    found = first_result(results, cell, "conflict")
    pairs = [] if found is None else list(found["cosine"])
    # Without a token of a modality in a shared expert there is no gradient to compare.
    values = {pair: over_seeds(results, cell, "conflict", ("cosine", pair)) or NOTHING for pair in pairs}
    columns = [Column(pair, " and ".join(map(_label, pair.split("+"))), paper=False) for pair in pairs]
    return Table(
        title="Cosine between the modalities' gradients of shared weights",
        columns=columns,
        rows=[Row(SPARSE.name, values)] if values else [],
        names="model",
        notes=("1: what one modality learns helps the other; 0: other directions; below 0: conflict.",),
    )


def _use_figures(results: Results) -> list[FigureFile]:
    found = first_result(results, SPARSE.cell(), "routing")
    if found is None:
        return []
    caption = (
        "Fraction of tokens whose first choice an expert is, by layer: all tokens and those of each modality."
        " A colour is a family and what it serves; darker experts are wider. The first seed is drawn."
    )
    return [FigureFile("utilization", _bars_picture(found), caption)]


def _bars_picture(found: Mapping[str, Any]) -> bytes:
    all_YE, of_YME = np.array(found["top_1"]), np.array(found["top_1_by_modality"])
    labels = ["all tokens", *map(_label, found["modalities"])]
    parts = [all_YE, *(of_YME[:, at] for at in range(len(found["modalities"])))]

    def fill(panels: Sequence[Sequence[Axes]]) -> None:
        for axes, label, share_YE in zip(panels[0], labels, parts):
            _stack(axes, share_YE, found["experts"])
            axes.set_title(label)
        panels[0][0].set_ylabel("tokens whose first choice it is, %")
        panels[0][-1].legend(fontsize=6, frameon=False, loc="center left", bbox_to_anchor=(1.0, 0.5))

    return draw((1.5 * len(parts) + 1.4, 2.8), 1, len(parts), fill)


def _stack(axes: Axes, share_YE: Any, experts: Sequence[Mapping[str, Any]]) -> None:
    widest, bottom_Y = max(one["width"] for one in experts), np.zeros(len(share_YE))
    kinds = [" + ".join(map(_label, one["modalities"])) or one["family"] for one in experts]
    colours = dict(zip(dict.fromkeys(kinds), cycle(COLOURS)))
    places = np.arange(len(share_YE))
    for number, expert in enumerate(experts):
        alpha = 0.45 + 0.55 * expert["width"] / widest
        height_Y = 100 * share_YE[:, number]
        label = f"{number} {kinds[number]} {expert['width']}"
        axes.bar(places, height_Y, bottom=bottom_Y, color=colours[kinds[number]], alpha=alpha, label=label,
                 edgecolor="white", linewidth=0.5)  # fmt: skip
        bottom_Y = bottom_Y + height_Y
    axes.set_xticks(places, [str(layer) for layer in places])
    axes.set_xlabel("layer", color=PALE)
    axes.set_ylim(0, 100)


UTILIZATION = Study(
    "utilization",
    "Figure 7. Use of the experts by layer",
    "Which experts the tokens of each layer and modality choose first, how many experts are in effect in use,"
    " and whether the modalities' gradients agree.",
    _sparse_cells,
    _use_tables,
    _use_figures,
)


def _history_cells(budget: Budget) -> list[Cell]:
    return _kept(budget)[1].cells(budget.seeds, (*STANDARD, "history"))


def _history_tables(results: Results) -> list[Table]:
    sparse = _kept(results.budget)[1]
    steps = _steps(results, [sparse])
    found = first_result(results, sparse.cell(), "history")
    layers = 0 if found is None else len(found["snapshots"][0]["effective"])
    rows = [
        Row(
            f"layer {layer}",
            {
                str(at): over_seeds(results, sparse.cell(), "history", ("snapshots", at, "effective", layer))
                for at in range(len(steps))
            },
        )
        for layer in range(layers)
    ]
    return [
        Table(
            title="Figure 8 in numbers. Effective number of experts among first choices",
            columns=[Column(str(at), f"step {step:,}", paper=False) for at, step in enumerate(steps)],
            rows=rows,
            names="layer",
            about=equal_lines(results, [sparse]),
            notes=("exp(H) of the fractions of tokens whose first choice an expert is.",),
        )
    ]


def _history_figures(results: Results) -> list[FigureFile]:
    cell = _kept(results.budget)[1].cell()
    found = first_result(results, cell, "history")
    if found is None:
        return []
    columns, maps = _expert_names(cell, results.budget), []
    for step, snapshot in zip(found["steps"], found["snapshots"]):
        share_YE = np.array(snapshot["top_1"])
        rows = [f"layer {layer}" for layer in range(len(share_YE))]
        maps.append(Map(f"step {step:,}", share_YE, rows, columns))
    caption = (
        "Fraction of tokens whose first choice an expert is, by layer and expert, at several steps. Above each"
        " expert its number, its family or what it serves, and its width. The first seed is drawn."
    )
    return [FigureFile("routing_history", as_png(draw_maps(maps)), caption)]


def _expert_names(cell: Cell, budget: Budget) -> list[str]:
    """Of each expert in the order of the measures: number, family or what it serves, width."""
    moe = settings_of(cell, budget, ElucidationRun).moe
    assert moe is not None
    return [
        "\n".join(
            (str(number), *(map(_label, one.modalities) if one.modalities else (one.family,)), str(one.width))
        )
        for number, one in enumerate(physical_order(moe.experts))
    ]


HISTORY = Study(
    "routing-history",
    "Figure 8. Routing over training",
    "From an even use of the experts to specialised layers, or not: first choices by layer and expert at"
    " several steps of the training.",
    _history_cells,
    _history_tables,
    _history_figures,
)

STUDIES = (REPRESENTATIONS, UTILIZATION, HISTORY)
