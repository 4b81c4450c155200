"""What was equal between models: every kind of quantity, and the words for it."""

import pytest

from mmspec_ds.evaluation.equality import Compared, equality_of, short_count, table_of

SPARSE = Compared(
    "sparse",
    {
        "steps": 2000,
        "samples_per_step": 32,
        "samples": 63_971.0,
        "flops": 1.25e14,
        "parameters": 1_739_400,
        "active_parameters": 1_240_000.0,
        "seconds": 250.0,
    },
    {"data": "abc", "inputs": {"modalities": ["ir"]}, "seed": 0, "device": "a CPU"},
)
DENSE = Compared(
    "dense",
    {
        "steps": 2000,
        "samples_per_step": 32,
        "samples": 63_971.0,
        "flops": 1.2e14,
        "parameters": 1_206_000,
        "active_parameters": 1_206_000.0,
        "seconds": 200.0,
    },
    {"data": "abc", "inputs": {"modalities": ["ms"]}, "seed": 1, "device": None},
)


def test_the_sentence() -> None:
    found = equality_of([SPARSE, DENSE])
    assert found.sentence == (
        "Equal: steps and batches (2,000 of 32), samples (63,971), data."
        " Within 5 %: training FLOPs (125 T, 120 T), active parameters (1.24 M, 1.21 M)."
        " Not equal: parameters (1.74 M, 1.21 M), seconds (250, 200), inputs, seed (0, 1)."
        " Not recorded: device."
    )
    assert found.to_json()["sentence"] == found.sentence
    assert found.to_json()["unknown"] == ["device"]


def test_batches_of_unequal_size_are_told_apart() -> None:
    other = Compared("other", {**DENSE.counts, "samples_per_step": 64})
    found = equality_of([SPARSE, other])
    assert "steps (2,000)" in found.equal
    assert "samples a step (32, 64)" in found.different


def test_three_models_and_one_without_a_record() -> None:
    found = equality_of([SPARSE, DENSE, Compared("old")])
    assert found.equal == ()
    assert found.different == ()
    assert {"steps", "seconds", "data", "seed"} <= set(found.unknown)
    assert equality_of([Compared("old"), Compared("older")]).sentence == ""


@pytest.mark.parametrize(
    ("first", "second", "kind"),
    [
        (100.0, 100.0, "equal"),
        (1e15, 1e15 + 1, "equal"),
        (0.0, 0.0, "equal"),
        (100.0, 95.0, "nearly"),
        (100.0, 94.9, "different"),
        (0.0, 1.0, "different"),
    ],
)
def test_how_near_is_nearly(first: float, second: float, kind: str) -> None:
    found = equality_of([Compared("a", {"flops": first}), Compared("b", {"flops": second})])
    assert len(getattr(found, kind)) == 1


def test_the_table_has_what_any_model_has() -> None:
    heads, rows = table_of([SPARSE, Compared("old", {"steps": 7})])
    assert heads[:4] == ["", "steps", "samples a step", "samples"]
    assert rows[0] == ["sparse", "2,000", "32", "63,971", "125 T", "1.74 M", "1.24 M", "250"]
    assert rows[1] == ["old", "7", "-", "-", "-", "-", "-", "-"]


@pytest.mark.parametrize(
    ("key", "value", "text"),
    [
        ("flops", 9.996e14, "1,000 T"),
        ("flops", 1e18, "1,000 P"),
        ("parameters", 512.0, "512"),
        ("samples", 12_345_678.0, "12.3 M"),
        ("seconds", 1234.5, "1,234"),
        ("steps", None, "-"),
    ],
)
def test_counts_in_short(key: str, value: float | None, text: str) -> None:
    assert short_count(key, value) == text
