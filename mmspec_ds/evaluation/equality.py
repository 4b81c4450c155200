"""What was equal between models that are compared: a table, and a sentence made from their records.

A figure that is better says little until it is known what both sides were given. `equality_of` sorts every
quantity of several models into equal, nearly equal and not equal, so that nobody writes that sentence by hand.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

NEARLY = 0.05
"""Counts that differ by at most this share of the largest are nearly equal."""

SAME = 1e-6
"""Counts that differ by less are equal: sums of fractions in another order."""

COUNTS = {
    "steps": "steps",
    "samples_per_step": "samples a step",
    "samples": "samples",
    "flops": "training FLOPs",
    "parameters": "parameters",
    "active_parameters": "active parameters",
    "flops_per_sample": "training FLOPs of a sample",
    "seconds": "seconds",
}
"""Names of the counts of a model, in the order of the table, in words."""


@dataclass(frozen=True)
class Compared:
    """A model of a comparison, with the figures that its run recorded.

    Attributes:
        name: of the model.
        counts: by the keys of `COUNTS`; None or absent where the record has none.
        facts: what is equal or not as a whole, such as data, inputs and seed, by their names in words; None
            where it is not recorded. Values are compared, and shown if they are short.
    """

    name: str
    counts: Mapping[str, float | None] = field(default_factory=dict)
    facts: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Equality:
    """Quantities of all models, in words with their values."""

    equal: tuple[str, ...] = ()
    nearly: tuple[str, ...] = ()
    different: tuple[str, ...] = ()
    unknown: tuple[str, ...] = ()

    @property
    def sentence(self) -> str:
        """One line, such as "Equal: steps (2,000), data. Not equal: parameters (1.74 M, 1.21 M)."."""
        parts = (
            ("Equal", self.equal),
            (f"Within {100 * NEARLY:g} %", self.nearly),
            ("Not equal", self.different),
            ("Not recorded", self.unknown),
        )
        return " ".join(f"{head}: {', '.join(names)}." for head, names in parts if names)

    def to_json(self) -> dict[str, Any]:
        """The four lists and the sentence."""
        lists = {name: list(getattr(self, name)) for name in ("equal", "nearly", "different", "unknown")}
        return {**lists, "sentence": self.sentence}


def equality_of(models: Sequence[Compared]) -> Equality:
    """Sort the quantities of two or more models. Steps and samples a step that are both equal are named
    together, and what no model has is left out."""
    found: dict[str, list[str]] = {"equal": [], "nearly": [], "different": [], "unknown": []}
    together = all(
        _kind([m.counts.get(key) for m in models]) == "equal" for key in ("steps", "samples_per_step")
    )
    for key, name in COUNTS.items():
        values = [model.counts.get(key) for model in models]
        if all(value is None for value in values) or (together and key == "samples_per_step"):
            continue
        if together and key == "steps":
            of = short_count("samples_per_step", models[0].counts["samples_per_step"])
            found["equal"].append(f"steps and batches ({short_count(key, values[0])} of {of})")
            continue
        kind = _kind(values)
        shown = values[:1] if kind == "equal" else values
        told = ", ".join(short_count(key, value) for value in shown)
        found[kind].append(name if kind == "unknown" else f"{name} ({told})")
    for name in dict.fromkeys(name for model in models for name in model.facts):
        facts = [model.facts.get(name) for model in models]
        if None in facts:
            found["unknown"].append(name)
        elif all(fact == facts[0] for fact in facts):
            found["equal"].append(name)
        else:
            short = all(isinstance(fact, int | float | str) and len(str(fact)) <= 24 for fact in facts)
            found["different"].append(f"{name} ({', '.join(map(str, facts))})" if short else name)
    return Equality(**{kind: tuple(names) for kind, names in found.items()})


def table_of(models: Sequence[Compared]) -> tuple[list[str], list[list[str]]]:
    """Heads, and a row for each model: its name and the counts that any of them has."""
    keys = [key for key in COUNTS if any(model.counts.get(key) is not None for model in models)]
    rows = [[model.name, *(short_count(key, model.counts.get(key)) for key in keys)] for model in models]
    return ["", *(COUNTS[key] for key in keys)], rows


def short_count(key: str, value: float | None) -> str:
    """A count for a reader: steps and samples in full, others in three digits with k, M, G, T or P."""
    if value is None:
        return "-"
    if key == "seconds":
        return f"{value:,.0f}"
    if key in ("steps", "samples_per_step", "samples") and value < 1e7:
        return f"{value:,.0f}"
    for size, letter in ((1e15, "P"), (1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= size:
            scaled = value / size
            digits = f"{scaled:#.3g}".rstrip(".") if scaled < 999.5 else f"{scaled:,.0f}"
            return f"{digits} {letter}"
    return f"{value:.3g}"


def _kind(values: Sequence[float | None]) -> str:
    known = [value for value in values if value is not None]
    if len(known) < len(values):
        return "unknown"
    largest, apart = max(map(abs, known), default=0.0), max(known, default=0.0) - min(known, default=0.0)
    if apart <= SAME * largest:
        return "equal"
    return "nearly" if apart <= NEARLY * largest else "different"
