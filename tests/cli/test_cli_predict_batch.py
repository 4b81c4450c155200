"""`mmspec predict` on manifests: a line for every row, whatever is wrong with it, and going on after a cut."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from mmspec_ds.systems.elucidation import predict_files

FILES = Path(__file__).parents[1] / "readers/files"
HEADER = "id,h_nmr,c_nmr,ir,msms,formula\n"


def lines_of(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


@pytest.fixture
def manifest(instruments: Path) -> Path:
    """Four sound rows."""
    path = instruments.parent / "batch.csv"
    rows = (f"x{n},instruments/r{n}/h_nmr.csv,instruments/r{n}/c_nmr.csv,,,C2H6O\n" for n in range(4))
    path.write_text(HEADER + "".join(rows))
    return path


def test_rows_are_the_records_of_the_parquet(mmspec: Any, house: Path, manifest: Path) -> None:
    out = house / "out.jsonl"
    told = mmspec("predict", house / "model", manifest, "--top", 2, "--out", out)
    assert (told.status, told.err) == (0, "")
    assert told.out == f"{out}: 4 records, 0 without an answer\n"
    found = lines_of(out)
    assert [one["id"] for one in found] == ["x0", "x1", "x2", "x3"]
    rows = mmspec("predict", house / "model", house / "data.parquet", "--top", 2).out.splitlines()
    for one, row in zip(found, rows, strict=True):
        expected = json.loads(row)["candidates"]
        assert [c["smiles"] for c in one["candidates"]] == [c["smiles"] for c in expected]
        assert one["unused"] == ["formula"]
    assert not out.with_name("out.jsonl.partial").exists()


def test_broken_rows_are_lines(mmspec: Any, house: Path, manifest: Path) -> None:
    for name in ("massbank.txt", "gnps.mgf", "nist.msp"):
        shutil.copyfile(FILES / name, house / name)
    (house / "cut.csv").write_text("shift\n10.0\n20.0\nabc\n")
    (house / "noise.dat").write_bytes(bytes(range(1, 200)))
    h_0, c_0 = "instruments/r0/h_nmr.csv", "instruments/r0/c_nmr.csv"
    rows = [
        (f"sound,{h_0},,,,", None),
        (f"missing,{h_0},none.csv,,,", "none.csv: there is no such file"),
        (f"unknown,{h_0},,noise.dat,,", "noise.dat: is of no known format"),
        (f"other,{c_0},,,,", "a 1H shift of 60 ppm, expected -10 to 30"),
        (",,,,,", "passed over: no cell has anything"),
        (f",{h_0},,,,", "row 6: the id is missing"),
        (f"sound,{h_0},,,,", "row 7: the id 'sound' is there twice"),
        ("nothing,,,,,", "row 8: names no file"),
        (f"short,{h_0}", "row 9: 2 cells, expected 6"),
        (f"long,{h_0},,,,,,", "row 10: 8 cells, expected 6"),
        (f"formula,{h_0},,,massbank.txt,C2H6O", "the formula of massbank.txt:0 is C8H9NO2, that of"),
        (f"formula2,{h_0},,,,H2O+beer", "is not a molecular formula"),
        (f"mixed,{h_0},,,massbank.txt;gnps.mgf,", "not one molecule"),
        ("cut,,cut.csv,,,", "cut.csv, record 0, line 4: the shift 'abc' is not a number"),
        (f"several,{h_0},,,massbank.txt; massbank.txt ,C8H9NO2", None),
        (f"folder,{h_0},instruments,,,", "is a folder of no known format"),
        ("only_ms,,,,massbank.txt,", "nothing that this model reads"),
    ]
    manifest.write_text(HEADER + "".join(f"{row}\n" for row, _ in rows))
    told = mmspec("predict", house / "model", manifest, "--top", 1)
    assert told.status == 0
    found = [json.loads(line) for line in told.out.splitlines()]
    expected = [(row.split(",")[0], fault) for row, fault in rows if row != ",,,,,"]
    for one, (name, fault) in zip(found, expected, strict=True):
        assert one["id"] == (name or "batch.csv:6")
        if fault is None:
            assert len(one["candidates"]) == 1
        else:
            assert fault in one["error"]
            assert "\n" not in one["error"]
    assert found[13]["unused"] == ["ms", "formula"]


@pytest.mark.parametrize(
    ("content", "part"),
    [
        (
            "id,h_nmr,cnmr\na,b,c\n",
            "the column 'cnmr' is unknown (known: id, h_nmr, c_nmr, ir, msms, hsqc, ei, formula, smiles)",
        ),
        ("id,h_nmr,h_nmr\na,b,c\n", "the column 'h_nmr' is there twice"),
        ("id,h_nmr\n", "the manifest has no row"),
        ("id,h_nmr\n\n , \n", "the manifest has no row"),
    ],
)
def test_manifests_that_are_none(mmspec: Any, house: Path, content: str, part: str) -> None:
    (house / "bad.csv").write_text(content)
    mmspec("predict", house / "model", house / "bad.csv").is_one_line("bad.csv: ", part)


def test_a_manifest_as_spreadsheets_write_it(mmspec: Any, house: Path, manifest: Path) -> None:
    plain = mmspec("predict", house / "model", manifest, "--top", 1).out
    text = manifest.read_text().replace("id,h_nmr", '"ID", H_NMR').replace("\n", "\r\n")
    manifest.write_bytes(b"\xef\xbb\xbf" + text.encode())
    assert mmspec("predict", house / "model", manifest, "--top", 1).out == plain
    shutil.move(manifest, house / "manifest.csv")
    assert mmspec("predict", house / "model", house, "--top", 1).out == plain  # a folder with a manifest


def test_a_formula_for_all_rows_must_agree(mmspec: Any, house: Path, manifest: Path) -> None:
    told = mmspec("predict", house / "model", manifest, "--top", 1, "--formula", "OC2H6")
    assert (told.status, told.err) == (0, "")
    told = mmspec("predict", house / "model", manifest, "--top", 1, "--formula", "CH4")
    told.is_one_line(
        "batch.csv, row 1 is C2H6O, that of the given one is CH4", "(and 3 more without an answer)"
    )


@pytest.fixture
def pieces(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Pieces of one record, and how many records each decoding was given."""
    given: list[int] = []
    decode = predict_files.predict_molecules

    def counted(model: Any, dataset: Any, *rest: Any, **named: Any) -> Any:
        given.append(len(dataset))
        return decode(model, dataset, *rest, **named)

    monkeypatch.setattr(predict_files, "PIECE", 1)
    monkeypatch.setattr(predict_files, "predict_molecules", counted)
    return given


@pytest.mark.parametrize("torn", [b"", b'{"id": "x2", "candid'], ids=["whole lines", "torn line"])
def test_resume_answers_only_what_is_missing(
    mmspec: Any, house: Path, manifest: Path, pieces: list[int], torn: bytes
) -> None:
    out, partial = house / "out.jsonl", house / "out.jsonl.partial"
    command = ("predict", house / "model", manifest, "--top", 2, "--out", out)
    assert mmspec(*command).status == 0
    complete = out.read_bytes()
    pieces.clear()
    partial.write_bytes(b"".join(complete.splitlines(keepends=True)[:2]) + torn)
    out.unlink()
    told = mmspec(*command, "--resume")
    assert told.out == f"{out}: 2 records, 0 without an answer, 2 answered before\n"
    assert out.read_bytes() == complete
    assert pieces == [1, 1]
    assert not partial.exists()
    pieces.clear()
    assert mmspec(*command, "--resume").status == 0  # nothing is left to do
    assert (out.read_bytes(), pieces) == (complete, [])
    with manifest.open("a") as file:
        file.write("x4,instruments/r0/h_nmr.csv,,,,\n")
    assert mmspec(*command, "--resume").status == 0
    assert out.read_bytes().startswith(complete)
    assert (lines_of(out)[4]["id"], pieces) == ("x4", [1])


def test_what_was_answered_outlives_an_interruption(
    mmspec: Any, house: Path, manifest: Path, pieces: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    out = house / "out.jsonl"
    out.write_text("an earlier file\n")
    command = ("predict", house / "model", manifest, "--top", 1, "--out", out)
    decode = predict_files.predict_molecules

    def interrupted(*rest: Any, **named: Any) -> Any:
        if len(pieces) == 2:
            raise KeyboardInterrupt
        return decode(*rest, **named)

    with monkeypatch.context() as patch:
        patch.setattr(predict_files, "predict_molecules", interrupted)
        told = mmspec(*command)
    assert (told.status, told.err) == (130, "mmspec: interrupted\n")
    assert out.read_text() == "an earlier file\n"
    assert [one["id"] for one in lines_of(house / "out.jsonl.partial")] == ["x0", "x1"]
    assert mmspec(*command, "--resume").status == 0
    assert [one["id"] for one in lines_of(out)] == ["x0", "x1", "x2", "x3"]
    assert pieces == [1] * 4
    mmspec(*command)  # without --resume all is done anew
    assert pieces == [1] * 8


def test_two_records_of_one_name_are_both_answered(mmspec: Any, house: Path, pieces: list[int]) -> None:
    other = house / "other"
    other.mkdir()
    shutil.copyfile(house / "data.parquet", other / "data.parquet")
    out = house / "out.jsonl"
    command = ("predict", house / "model", house / "data.parquet", other / "data.parquet", "--top", 1)
    assert mmspec(*command, "--out", out).status == 0
    complete = out.read_bytes()
    assert [one["id"] for one in lines_of(out)] == [f"data.parquet:{n}" for n in range(4)] * 2
    (house / "out.jsonl.partial").write_bytes(b"".join(complete.splitlines(keepends=True)[:5]))
    out.unlink()
    assert mmspec(*command, "--out", out, "--resume").status == 0
    assert out.read_bytes() == complete


def test_a_file_that_is_no_answers_is_not_resumed(mmspec: Any, house: Path, manifest: Path) -> None:
    out = house / "out.jsonl"
    out.write_text('{"id": "x0"}\n[1]\n')
    told = mmspec("predict", house / "model", manifest, "--out", out, "--resume")
    told.is_one_line("line 2 is no answer (JSON with an id): not a file to resume")
    assert out.read_text() == '{"id": "x0"}\n[1]\n'
