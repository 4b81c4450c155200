"""One series of values in every packing of JCAMP-DX, by hand, and what the libraries make of it."""

import time
import warnings
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mmspec_ds.readers.jcamp_tables import decode_ordinates, decode_pairs
from mmspec_ds.readers.part import RecordFault
from mmspec_ds.readers.source import Line

VALUES = [10, 12, 15, 15, 15, 15, 9, -3, -103, 0]

PACKED = {
    "AFFN": ["100 10 12 15 15 15", "105 15 9 -3 -103 0"],
    "AFFN, exponents and commas": ["1.0E2, 1.0e+1, 12, 15.0, 15, 15", "105 15. 9 -3 -1.03E2 0"],
    "PAC": ["100+10+12+15+15+15", "105+15+9-3-103+0"],
    "SQZ": ["100A0A2A5A5A5", "105A5Ica03@"],
    "SQZ with DUP": ["100A0A2A5U", "105A5Ica03@"],
    "DIF": ["100A0KL%%", "104A5%oj2j00J03", "109@"],
    "DIF with DUP": ["100A0KL%T", "104A5%oj2j00J03", "109@"],
    "DIF, blanks": ["100 A0 K L % %", "104 A5 % o j2 j00 J03"],
}


def lines(texts: list[str]) -> list[Line]:
    return [Line(number, text) for number, text in enumerate(texts, 1)]


@pytest.mark.parametrize("packing", PACKED)
def test_every_packing_gives_the_values(packing: str) -> None:
    found = decode_ordinates(lines(PACKED[packing]))
    assert found.values.tolist() == VALUES
    assert found.line_x[:2] == ([100, 104] if packing.startswith("DIF") else [100, 105])
    assert found.line_start[:2] == ([0, 4] if packing.startswith("DIF") else [0, 5])


@pytest.mark.parametrize("packing", ["AFFN", "PAC", "SQZ", "DIF", "DIF with DUP"])
def test_the_libraries_agree(packing: str, tmp_path: Path) -> None:
    """nmrglue for all, jcamp for all that it can read."""
    import jcamp
    import nmrglue

    text = "\n".join(
        [
            *("##TITLE= a", "##JCAMP-DX= 5.01", "##DATA TYPE= NMR SPECTRUM", "##DATA CLASS= XYDATA"),
            *(
                "##.OBSERVE NUCLEUS= ^1H",
                "##XUNITS= HZ",
                "##YUNITS= ARBITRARY UNITS",
                "##FIRSTX= 100",
                "##LASTX= 109",
                "##XFACTOR= 1",
            ),
            *("##YFACTOR= 1", "##NPOINTS= 10", "##XYDATA= (X++(Y..Y))", *PACKED[packing], "##END="),
        ]
    )
    path = tmp_path / "a.dx"
    path.write_text(text + "\n")
    ours = decode_ordinates(lines(PACKED[packing])).values
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        _, theirs = nmrglue.jcampdx.read(str(path))
    np.testing.assert_array_equal(ours, theirs)
    if packing in ("AFFN", "SQZ", "DIF"):
        assert jcamp.readfile(str(path))["y"][:10].tolist() == VALUES


def test_counts_of_more_than_one_digit() -> None:
    """S1 is 11 in all; S is the digit 1, s the digit 9."""
    assert decode_ordinates(lines(["0A5S1", "11B0s"])).values.tolist() == [15.0] * 11 + [20.0] * 9
    assert decode_ordinates(lines(["0A0JS2"])).values.tolist() == list(range(10, 23))


def test_a_question_mark_is_a_missing_value() -> None:
    assert np.isnan(decode_ordinates(lines(["0 1 ? 3"])).values).tolist() == [False, True, False]
    assert np.isnan(decode_ordinates(lines(["0A1?C"])).values).tolist() == [False, True, False]


@pytest.mark.parametrize(
    ("texts", "words", "line"),
    [
        (["100A0KL", "102A6%"], "the line begins with 16, the one before ended with 15: damaged", 2),
        (["100 1 2 x"], "is not a line of packed numbers", 1),
        (["100 1 2", *["101 5 6"] * 30, "103 1 $ 2"], "is not a line of numbers", 32),
        (["A0KL"], "does not begin with an X", 1),
        (["100K"], "a difference with nothing before it", 1),
        (["100T"], "a repetition with nothing before it", 1),
        (["100A0Y999999999"], "more than 4194304 points", 1),
        (["100A0" + "S4000000" * 2], "more than 4194304 points", 1),
        (["100A" + "1" * 60], "a number of 61 digits", 1),
        ([], "the data table is empty", None),
    ],
)
def test_damage_is_named_with_its_line(texts: list[str], words: str, line: int | None) -> None:
    with pytest.raises(RecordFault) as caught:
        decode_ordinates(lines(texts))
    assert words in caught.value.reason
    assert caught.value.line == line


def test_no_line_takes_long() -> None:
    """A hundred thousand digits before a bad letter: a pattern that goes back would not end."""
    started = time.perf_counter()
    for text in ("1" * 100_000 + "x", "A" * 100_000 + "x", "1." * 50_000 + "!", "T" * 100_000):
        with pytest.raises(RecordFault):
            decode_ordinates(lines([text]))
    assert time.perf_counter() - started < 2.0


def test_pairs_and_triples() -> None:
    assert decode_pairs(lines(["1,2 3,4", "5 6;7,8"])).tolist() == [[1, 2], [3, 4], [5, 6], [7, 8]]
    assert decode_pairs(lines(["1, 2, 3"]), 3).tolist() == [[1, 2, 3]]
    with pytest.raises(RecordFault, match="not a list of 2 numbers each"):
        decode_pairs(lines(["1,2 3"]))
    with pytest.raises(RecordFault, match="is not a number"):
        decode_pairs(lines(["1,b"]))


_DIGITS = {
    "SQZ": ("@ABCDEFGHI", "@abcdefghi"),
    "DIF": ("%JKLMNOPQR", "%jklmnopqr"),
}


def pack(value: int, form: str) -> str:
    """One number with its first digit as a letter, by the table of the standard."""
    digits = str(abs(value))
    return _DIGITS[form][value < 0][int(digits[0])] + digits[1:]


@given(st.lists(st.integers(-(10**9), 10**9), min_size=1, max_size=60), st.integers(2, 20))
@settings(max_examples=60, deadline=None)
def test_any_integers_come_back_from_sqz_and_dif(values: list[int], wide: int) -> None:
    starts = range(0, len(values), wide)
    squeezed = [f"{start}" + "".join(pack(v, "SQZ") for v in values[start : start + wide]) for start in starts]
    assert decode_ordinates(lines(squeezed)).values.tolist() == values
    differing = []
    for start in starts:
        before = max(start - 1, 0)
        rest = [values[i] - values[i - 1] for i in range(before + 1, min(start + wide, len(values)))]
        differing.append(f"{before}" + pack(values[before], "SQZ") + "".join(pack(d, "DIF") for d in rest))
    assert decode_ordinates(lines(differing)).values.tolist() == values
