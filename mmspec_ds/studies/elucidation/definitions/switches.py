"""Ablations of the router, of the pool of experts and of the objective: tables 4, 5, 6, 10 and 11 of the paper,
and those of what the field adds."""

from collections.abc import Sequence

from mmspec_ds.studies.elucidation.definitions.ablation import Extra, Line, ablation
from mmspec_ds.studies.elucidation.definitions.variants import (
    PAPER,
    PAPER_SETTINGS,
    SPARSE,
    SPARSE_BOTH,
    Variant,
    halved,
    mean_width,
    of_equal_width,
    one_heavy,
    pool,
    with_dropout,
    without_families,
)
from mmspec_ds.studies.elucidation.paper_values import (
    SENSITIVITY_NOTE,
    TABLE_4,
    TABLE_5,
    TABLE_6,
    TABLE_10,
    TABLE_11,
)
from mmspec_ds.studies.lookup import NOTHING, scaled
from mmspec_ds.studies.plan import Budget, Column, Entry, Results
from mmspec_ds.studies.results import mean_of

DYNAMIC_SHARE = 0.25
"""An expert after the first is left out when its probability is below this share of the first one's. The paper
does not say how its dynamic activation decides."""


def _signals(budget: Budget) -> list[Line]:
    lines = []
    for (aware, tagged), paper in TABLE_4.items():
        name = f"router-aware {_mark(aware)}, tag {_mark(tagged)}"
        moe = {"router_aware": aware, "tag_routing": tagged}
        variant = SPARSE.named(name) if aware and tagged else SPARSE.but(name, moe=moe)
        lines.append(Line(variant, paper))
    return lines


def _subspaces(budget: Budget) -> list[Line]:
    lines = []
    for (shared, interaction, dynamic), paper in TABLE_5.items():
        name = f"shared {_mark(shared)}, interaction {_mark(interaction)}, dynamic {_mark(dynamic)}"
        gone = [one for one, kept in (("shared", shared), ("interaction", interaction)) if not kept]
        moe = {"experts": without_families(budget, gone), "dynamic_share": DYNAMIC_SHARE if dynamic else 0.0}
        lines.append(Line(SPARSE.but(name, moe=moe, objective={"structure": 0.001}), paper))
    return lines


def _heterogeneity(budget: Budget) -> list[Line]:
    lines = []
    for (unequal, cost), paper in TABLE_6.items():
        name = f"unequal widths {_mark(unequal)}, cost term {_mark(cost)}"
        variant = SPARSE.named(name)
        if not unequal:
            variant = variant.but(name, moe={"experts": of_equal_width(budget)})
        if cost:
            variant = variant.but(name, objective={"cost": 0.001})
        lines.append(Line(variant, paper))
    return lines


def _experts(budget: Budget) -> list[Line]:
    return [
        Line(SPARSE.named("E 8") if n == 8 else SPARSE.but(f"E {n}", moe={"experts": pool(budget, n)}), paper)
        for n, paper in TABLE_10.items()
    ]


def _top_k(budget: Budget) -> list[Line]:
    return [
        Line(SPARSE.named("k 2") if k == 2 else SPARSE.but(f"k {k}", moe=_chosen(k)), paper)
        for k, paper in TABLE_11.items()
    ]


def _costs(results: Results, variants: Sequence[Variant]) -> list[Entry]:
    """The FLOPs of a token in the encoder's feed-forward networks over those of the first variant."""
    found = [results.value(one.cell(), "compute", "feed_forward") for one in variants]
    return [None if found[0] is None else scaled(one, 1 / found[0].mean) for one in found]


def _throughputs(results: Results, variants: Sequence[Variant]) -> list[Entry]:
    """Molecules a second of the search that accuracy is measured by."""
    found = ([results.of(cell, "accuracy") for cell in results.alike(one.cell())] for one in variants)
    return [mean_of([one["n"] / one["seconds"] for one in seeds if one is not None]) for seeds in found]


COST: Extra = (Column("cost", "activated cost, of k 1", digits=1), _costs)
LATENCY: Extra = (
    Column("latency", "latency, ms a sample", digits=1),
    lambda results, variants: [NOTHING] * len(variants),
)
THROUGHPUT: Extra = (Column("throughput", "throughput, samples/s", digits=1), _throughputs)
SPEED_NOTE = (
    "Latency is not measured here; table 12 has that of eight experts with two for a token. Throughput is that"
    " of the search for the accuracy, in batches of 64, while other work may run. The paper's stands under the"
    " head s/sample, but is about 1 over its latency."
)


def _chosen(k: int) -> dict[str, object]:
    """The settings for k experts of a token. A single weight that is divided by itself is always 1, and the
    router would learn nothing from it."""
    return {"k": k} if k > 1 else {"k": k, "renormalise": False}


def _settings(budget: Budget) -> list[Line]:
    back = [
        Line(Variant(f"best, but {name}", overrides), group="each put back alone")
        for name, overrides in PAPER_SETTINGS.items()
    ]
    return [Line(SPARSE.named("best settings")), Line(PAPER.named("the paper's settings")), *back]


def _switches(budget: Budget) -> list[Line]:
    def row(group: str, name: str, **blocks: object) -> Line:
        return Line(SPARSE.but(name, **blocks), group=group)

    bias = {"selection_bias_rate": 0.001}
    unbalanced = {"balance": 0.0}
    return [
        Line(SPARSE.named("best settings")),
        Line(PAPER.named("the paper's settings")),
        row("router", "sigmoid gates", moe={"gate": "sigmoid"}),
        row("router", "router z-loss 0.001", objective={"z": 0.001}),
        row("router", "selection bias, no balance loss", moe=bias, objective=unbalanced),
        row(
            "router",
            "selection bias by modality, no balance loss",
            moe={**bias, "selection_bias_by": "modality"},
            objective=unbalanced,
        ),
        row("router", "experts choose tokens", moe={"choice": "expert"}),
        row("experts", "always-on expert and k 1", moe={"always_on": mean_width(budget), **_chosen(1)}),
        row("experts", "16 of half width, k 4", moe={"experts": halved(budget), "k": 4}),
        Line(SPARSE_BOTH.named("experts in the decoder too"), group="experts"),
        row("objective", "supervised interactions 0.1", objective={"interactions": 0.1}),
        Line(with_dropout(SPARSE).named("modality dropout 0.15"), group="input and start"),
        row("input and start", "formula as input", data={"formula": True}),
        Line(upcycled(budget), group="input and start"),
    ]


def upcycled(budget: Budget) -> Variant:
    """The sparse model that begins with the weights of a dense one: each is trained for half of the steps."""
    steps = budget.overrides.get("training.steps")
    if steps is None:  # a budget of epochs
        epochs = {"epochs": float(budget.overrides["training.epochs"]) / 2}
        half = {"training": epochs}
    else:
        half = {"training": {"steps": max(1, int(steps) // 2)}}
    dense = one_heavy(budget).but("dense, half of the steps", **half)
    whole = SPARSE.but("upcycled, half of the steps each", **half)
    return Variant(whole.name, whole.overrides, start=dense)


def _mark(on: bool) -> str:
    return "✓" if on else "✗"


FAMILY_NOTE = (
    "Families are names unless the structural term is in the objective, so all rows have it (0.001). Without a"
    " family there are two experts less."
)

STUDIES = (
    ablation(
        "routing-signals",
        "Table 4. Routing signals",
        "Whether the router should see a token's modality: by a bias (router-aware), by a tag, by both or by"
        " neither.",
        _signals,
    ),
    ablation(
        "subspaces",
        "Table 5. Expert subspaces and dynamic activation",
        "The pool without its shared or its interaction experts, and with every token kept at two experts.",
        _subspaces,
        notes=(FAMILY_NOTE, f"Dynamic activation leaves out an expert below {DYNAMIC_SHARE} of the first one's"
               " probability; the paper does not say what its own does."),
    ),
    ablation(
        "heterogeneity",
        "Table 6. Unequal experts and cost regularisation",
        "Heavy and light experts against eight of the mean width, with the cost term (0.001) and without.",
        _heterogeneity,
        notes=("Costs are widths divided by the largest. For experts of one width the term is a constant, which"
               " has no gradient.",),
    ),
    ablation(
        "experts",
        "Table 10. Number of experts",
        "Pools of 2, 4, 8 and 16 experts, half of them heavy, with two experts for a token.",
        _experts,
        ranks=(1, 3, 5, 10),
        extra=(LATENCY, THROUGHPUT),
        notes=("E 4 has one expert of each family, E 2 a heavy shared and a light interaction expert, E 16 each"
               " of the eight twice.", SPEED_NOTE, SENSITIVITY_NOTE),
    ),
    ablation(
        "top-k",
        "Table 11. Experts of a token",
        "One, two or four of the eight experts for a token.",
        _top_k,
        ranks=(1, 3, 5, 10),
        extra=(LATENCY, THROUGHPUT, COST),
        notes=("Activated cost is that of the encoder's feed-forward networks, by the experts that were really"
               " chosen; the paper's is the number of experts.", SPEED_NOTE, SENSITIVITY_NOTE),
    ),
    ablation(
        "settings",
        "From the paper's settings to the best ones",
        "Five settings differ between the paper's defaults and those that measured best: each is put back"
        " alone.",
        _settings,
    ),
    ablation(
        "switches",
        "What the field adds to the paper's design",
        "Each switch against the best settings: sigmoid gates (DeepSeek-V3), router z-loss (Zoph et al. 2022),"
        " selection bias without a balance loss (Wang et al. 2024), also by modality, expert choice (Zhou et"
        " al. 2022), an always-on expert and fine-grained experts (Dai et al. 2024), supervised interactions"
        " (I2MoE, Xin et al. 2025), sparse upcycling (Komatsuzaki et al. 2023).",
        _switches,
        notes=("Each row is one setting of many: a switch that loses here may win with another strength.",
               "Upcycled: steps, samples, FLOPs and seconds are those of the sparse half; the dense half before"
               " it has as many steps."),
    ),
)  # fmt: skip
