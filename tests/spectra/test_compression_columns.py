"""Operators on whole columns give the tokens that plain loops give, or say what is wrong with a row."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mmspec_ds.spectra.columns import Faults
from mmspec_ds.spectra.modalities import c_nmr, formula, h_nmr, ir
from mmspec_ds.spectra.modalities.ms_file import POLARITIES
from mmspec_ds.spectra.packed import PackedTokens, offsets_of
from mmspec_ds.spectra.parquet import read_records, write_records
from mmspec_ds.spectra.parquet_writer import written_schema
from mmspec_ds.spectra.records import (
    CarbonNMR,
    HydrogenNMR,
    Infrared,
    Modality,
    Multiplet,
    Polarity,
    Record,
    Spectrum,
    TandemMS,
)
from mmspec_ds.spectra.registry import REGISTRY, CompressionSettings, block_of, compress_record
from tests.spectra.loop_operators import OPERATORS

SLOTS: list[tuple[Polarity, float]] = [(p, e) for p in POLARITIES for e in (10.0, 20.0, 40.0)]
POINTS = 60
PAIRS = pa.list_(pa.list_(pa.float64()))

NARROW = CompressionSettings.model_validate(
    {
        "h_nmr": {"max_tokens": 3, "bin_ppm": 0.07, "lowest_ppm": 1.0, "highest_ppm": 6.0, "j_bin_hz": 0.3},
        "c_nmr": {"max_tokens": 4, "bin_ppm": 0.25, "lowest_ppm": 10.0, "highest_ppm": 150.0},
        "ir": {"intervals": 45, "window": 5, "stride": 4, "lowest_cm1": 300.0, "highest_cm1": 4200.0},
        "ms": {"max_peaks": 7, "max_tokens": 20},
    }
)
"""Limits that the records below exceed, an IR range beyond what was measured, windows that overlap."""

FEWER_SPECTRA = CompressionSettings.model_validate({"ms": {"max_peaks": 5, "max_tokens": 4}})
"""Fewer peaks than spectra: of six, the first four have one each."""


def made_up(rng: np.random.Generator) -> Record:
    """A record with about three quarters of its spectra, with ties, repeats and no order."""

    def multiplet() -> Multiplet:
        centre, width = round(rng.uniform(-3, 19), 2), round(rng.uniform(0, 4), 2)
        couplings = tuple(np.round(rng.uniform(0, 40, rng.integers(0, 6)), 2).tolist())
        letters = "".join(rng.choice(["s", "d", "t", "q", "p", "h", "hept", "m"], rng.integers(1, 6)))
        return Multiplet(centre, centre + width, centre - width, letters, int(rng.integers(0, 40)), couplings)

    def tandem(polarity: Polarity, energy: float) -> TandemMS:
        peaks = int(rng.integers(1, 20))
        intensity = rng.integers(0, 6, peaks).astype(np.float64)
        intensity[0] += 1  # not all are zero
        return TandemMS(np.round(rng.uniform(40, 60, peaks), 1), intensity, polarity, energy)

    spectra: list[Spectrum] = [
        HydrogenNMR(tuple(multiplet() for _ in range(rng.integers(1, 7)))),
        CarbonNMR(tuple(np.round(rng.uniform(-40, 290, rng.integers(1, 9)), 1).tolist())),
        Infrared(rng.normal(size=POINTS).astype(np.float32).astype(np.float64) * rng.integers(0, 2)),
        *(tandem(polarity, energy) for polarity, energy in SLOTS),
    ]
    kept = tuple(spectrum for spectrum in spectra if rng.random() < 0.75) or (spectra[1],)
    formula = str(rng.choice(["C2H6O", "C60", "CHLi3Xe", "C300H2+2", ""])) or None
    return Record("", kept, "CCO", formula)


def decoded(
    modality: Modality, cells: Mapping[str, pa.Array], options: CompressionSettings, learnt: Any = None
) -> tuple[PackedTokens, Faults]:
    """The tokens of some columns of a file, and what is wrong with the last column that has a fault."""
    entry = REGISTRY[modality]
    columns, faults = entry.decode(cells, entry.learn(cells) if learnt is None else learnt)
    return entry.compress(columns, block_of(entry, options)), max(faults, key=lambda one: int(one.bad_N.sum()))


def assert_tokens(
    found: PackedTokens, records: Sequence[Record], modality: Modality, options: CompressionSettings
) -> None:
    """The same numbers, bit by bit, as those of each record."""
    loops = [OPERATORS[modality](record, block_of(REGISTRY[modality], options)) for record in records]
    assert found.counts.tolist() == [len(discrete) for discrete, _ in loops]
    assert (found.discrete.dtype, found.continuous.dtype) == (np.int16, np.float32)
    for values, kind, place in ((found.discrete, np.int16, 0), (found.continuous, np.float32, 1)):
        expected = np.array([row for one in loops for row in one[place]], dtype=np.float64).astype(kind)
        np.testing.assert_array_equal(values, expected.reshape(values.shape), str(modality))


def assert_columns(
    table: pa.Table, records: Sequence[Record], options: CompressionSettings, start: int = 0
) -> None:
    """Columns give the tokens of plain loops, and so does each record by itself; a slice of a batch is a
    batch."""
    (batch,) = table.to_batches()
    part = batch.slice(start)
    for modality in OPERATORS:
        names = [column.name for column in REGISTRY[modality].file_columns(part.schema.names)]
        cells = {name: part.column(name) for name in names}
        found, faults = decoded(modality, cells, options)
        assert not faults.bad_N.any()
        assert_tokens(found, records[start:], modality, options)
        for record in records[start:]:
            single = compress_record(record, [modality], options)
            for tokens in single.values():
                assert_tokens(tokens, [record], modality, options)


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**32), rows=st.integers(1, 12), options=st.sampled_from(range(3)))
def test_columns_give_the_tokens_of_single_records(
    tmp_path_factory: pytest.TempPathFactory, seed: int, rows: int, options: int
) -> None:
    rng, path = np.random.default_rng(seed), tmp_path_factory.mktemp("columns") / "rows.parquet"
    write_records(path, (made_up(rng) for _ in range(rows)))
    chosen = (CompressionSettings(), NARROW, FEWER_SPECTRA)[options]
    records = list(read_records(path))
    for start in (0, rows // 2):
        assert_columns(pq.read_table(path), records, chosen, start)


def test_columns_give_the_tokens_of_the_published_sample(shared_data: Path) -> None:
    path = shared_data / "alberts" / "example_data_1.parquet"
    assert_columns(pq.read_table(path), list(read_records(path)), CompressionSettings())


SOUND: Mapping[str, Any] = {
    "category": "t",
    "centroid": 1.0,
    "delta": 1.0,
    "j_values": "7.0_7.0_",
    "nH": 2,
    "rangeMax": 1.1,
    "rangeMin": 0.9,
}
"""A multiplet as a file has it."""


@pytest.mark.parametrize(
    "change",
    [
        {"centroid": None},
        {"centroid": float("nan")},
        {"centroid": 31.0},
        {"rangeMax": 31.0},
        {"rangeMin": -11.0},
        {"rangeMax": 0.5},
        {"nH": None},
        {"nH": -1},
        {"category": None},
        {"category": ""},
        {"category": "tx"},
        {"j_values": "7.0_x_"},
        {"j_values": "_"},
        {"j_values": "-1_"},
        {"j_values": "inf_"},
        {"j_values": "nan"},
        {"j_values": "7.0__"},
    ],
    ids=str,
)
def test_an_odd_multiplet_makes_its_row_doubtful_and_no_other(change: dict[str, Any]) -> None:
    rows = [[SOUND], None, [SOUND, {**SOUND, **change}], [SOUND] * 2]
    kind = written_schema().field(h_nmr.COLUMN).type
    cells = {h_nmr.COLUMN: pa.array(rows, kind)}
    found, faults = decoded(Modality.H_NMR, cells, CompressionSettings())
    assert faults.bad_N.tolist() == [False, False, True, False]
    assert found.counts.tolist() == [1, 0, 0, 2]
    # shift 1.0 above -2, span 0.2, t, two hydrogens, two couplings of 7 Hz
    assert found.discrete.tolist() == [[30, 4, 3, 0, 0, 0, 2, 14, 14, 0, 0]] * 3


@pytest.mark.parametrize("text", ["None", "", None])
def test_no_coupling_is_written_in_three_ways(text: str | None) -> None:
    kind = written_schema().field(h_nmr.COLUMN).type
    cells = {h_nmr.COLUMN: pa.array([[{**SOUND, "j_values": text}]], kind)}
    found, faults = decoded(Modality.H_NMR, cells, CompressionSettings())
    assert (faults.bad_N.tolist(), found.discrete[0, -4:].tolist()) == ([False], [0, 0, 0, 0])


@pytest.mark.parametrize("shifts", [[], [1.0, float("nan")], [None], [301.0], [-51.0]], ids=str)
def test_an_odd_line_makes_its_row_doubtful(shifts: list[Any]) -> None:
    kind = written_schema().field(c_nmr.COLUMN).type
    rows = [[{c_nmr.SHIFT: shift} for shift in row] for row in ([20.0], shifts, [30.0, 40.0])]
    found, faults = decoded(Modality.C_NMR, {c_nmr.COLUMN: pa.array(rows, kind)}, CompressionSettings())
    assert faults.bad_N.tolist() == [False, True, False]
    assert found.discrete[:, 0].tolist() == [400, 600, 500]


@pytest.mark.parametrize(
    "odd", [[], [1.0] * 3, [1.0] * 5, [1.0, 2.0, None, 3.0], [1.0, np.inf, 2.0, 3.0]], ids=str
)
def test_an_odd_curve_makes_its_row_doubtful(odd: list[Any]) -> None:
    options = CompressionSettings.model_validate({"ir": {"intervals": 4, "window": 2, "stride": 2}})
    rows = pa.array([[0.0, 1.0, 2.0, 4.0], odd, None, [3.0] * 4], pa.list_(pa.float32()))
    found, faults = decoded(Modality.IR, {ir.COLUMN: rows}, options, 4)
    assert faults.bad_N.tolist() == [False, True, False, False]
    assert found.counts.tolist() == [2, 0, 0, 2]
    assert found.continuous.tolist() == [[0, 0.25], [0.5, 1], [0, 0], [0, 0]]


@pytest.mark.parametrize("kind", [pa.float32(), pa.float64(), pa.int32()], ids=str)
def test_curves_are_the_same_however_many_there_are(kind: pa.DataType) -> None:
    rng, options = np.random.default_rng(0), CompressionSettings()
    rows: list[Any] = [rng.integers(-20, 200, POINTS).tolist() for _ in range(110)]
    # Between the others, at the edges of what is done at a time, and more of them than that.
    odd = [5, 31, 32, *range(64, 100)]
    for number, row in enumerate(odd):
        rows[row] = (None, [1] * (POINTS + 1), [2] * (POINTS - 1) + [None])[number % 3]
    array = pa.array(rows, pa.list_(kind))
    for start in (0, 3):
        found, faults = decoded(Modality.IR, {ir.COLUMN: array.slice(start)}, options, POINTS)
        assert np.flatnonzero(faults.bad_N).tolist() == [
            row - start for number, row in enumerate(odd) if number % 3
        ]
        sound = [row for row in range(start, len(rows)) if row not in odd]
        assert (np.flatnonzero(found.counts) + start).tolist() == sound
        spectra = [Infrared(np.array(rows[row], dtype=np.float64)) for row in sound]
        kept = PackedTokens(found.discrete, found.continuous, offsets_of(found.counts[np.array(sound) - start]))
        assert_tokens(kept, [Record("", (one,)) for one in spectra], Modality.IR, options)


@pytest.mark.parametrize(
    "odd",
    [
        [],
        [[50.0, 1.0], [60.0]],
        [[50.0, 1.0, 2.0]],
        [[50.0]],
        [[0.0, 1.0]],
        [[-50.0, 1.0]],
        [[50.0, -1.0]],
        [[50.0, 0.0]],
        [[50.0, None]],
        [[float("nan"), 1.0]],
        [[float("inf"), 1.0]],
    ],
    ids=str,
)
def test_an_odd_peak_makes_its_row_doubtful(odd: list[list[Any]]) -> None:
    sound = [[70.0, 5.0], [60.0, 10.0]]
    cells = {
        "msms_positive_10ev": pa.array([sound, sound, None, sound], PAIRS),
        "msms_negative_40ev": pa.array([None, odd, sound, sound], PAIRS),
    }
    found, faults = decoded(Modality.MS, cells, CompressionSettings())
    assert faults.bad_N.tolist() == [False, True, False, False]
    assert found.counts.tolist() == [2, 0, 2, 4]
    assert found.continuous.tolist() == [[60, 1], [70, 0.5]] * 4
    assert found.discrete.tolist() == [[3, 0]] * 2 + [[9, 1]] * 2 + [[3, 0]] * 2 + [[9, 1]] * 2


def test_a_text_that_is_no_formula_makes_its_row_doubtful() -> None:
    cells = {formula.COLUMN: pa.array(["CH4", None, "Xx2", "c", "O"])}
    found, faults = decoded(Modality.FORMULA, cells, CompressionSettings())
    assert faults.bad_N.tolist() == [False, False, True, True, False]
    assert found.counts.tolist() == [2, 0, 0, 0, 1]
    assert found.discrete.tolist() == [[1, 1], [2, 4], [5, 1]]
