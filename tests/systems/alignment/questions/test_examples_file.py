"""Examples: the objects that questions name, read from their files, which must be what they were."""

from pathlib import Path

import numpy as np
import pytest

from mmspec_ds.errors import DataError
from mmspec_ds.files import entry_of, write_manifest
from mmspec_ds.spectra.records import TandemMS
from mmspec_ds.systems.alignment.objects import Molecule, Protein
from mmspec_ds.systems.alignment.questions.examples_file import SOURCES, read_examples
from mmspec_ds.systems.alignment.questions.question import (
    MoleculeReference,
    ProteinReference,
    Question,
    SpectrumReference,
)
from mmspec_ds.systems.alignment.questions.question_lines import write_questions

MSP = """Name: first
PrecursorMZ: 89.0477
Precursor_type: [M+H]+
SMILES: CC(N)C(=O)O
Formula: C3H7NO2
Num Peaks: 2
44.05 100
72.04 5

Name: second
PrecursorMZ: 76.0393
Precursor_type: [M+H]+
SMILES: NCC(=O)O
Num Peaks: 1
30.03 100
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "two.msp").write_text(MSP)
    second = SpectrumReference("two.msp", 1)
    write_questions(
        tmp_path / "test.jsonl",
        [
            Question(
                "[SPECTRUM] [MOLECULE]", (second, MoleculeReference("CCO")), "no", "same molecule", group="A+B"
            ),
            Question("[SPECTRUM]?", (second,), "C2H5NO2", "formula", phrasing=3),
            Question("[PROTEIN]", (ProteinReference("MKV", "P"),), "x", "t"),
        ],
    )
    return tmp_path


def with_manifest(folder: Path) -> None:
    write_manifest(
        folder,
        {"test.jsonl": entry_of(folder / "test.jsonl")},
        **{SOURCES: {"two.msp": entry_of(folder / "two.msp")}},
    )


def test_objects_are_those_that_are_named(folder: Path) -> None:
    with_manifest(folder)
    first, second, third = read_examples(folder / "test.jsonl")
    record, molecule = first.objects
    assert molecule == Molecule("CCO")
    assert third.objects == (Protein("MKV", "P"),)
    assert second.objects[0] is record  # read once
    spectrum = record.spectra[0]  # type: ignore[union-attr]
    assert isinstance(spectrum, TandemMS)
    np.testing.assert_allclose(spectrum.mz, [30.03])
    assert (second.answer, second.task, second.phrasing, first.group) == ("C2H5NO2", "formula", 3, "A+B")


def test_an_encoder_is_not_told_the_answer(folder: Path) -> None:
    write_questions(
        folder / "one.jsonl", [Question("[SPECTRUM]", (SpectrumReference("two.msp", 0),), "a", "t")]
    )
    record = read_examples(folder / "one.jsonl")[0].objects[0]
    assert record.smiles is None  # type: ignore[union-attr]
    assert record.formula is None  # type: ignore[union-attr]


def test_a_question_for_the_adduct_does_not_hold_it(folder: Path) -> None:
    one = (SpectrumReference("two.msp", 0),)
    asked = [Question("[SPECTRUM]", one, "[M+H]+", task) for task in ("adduct", "formula", "adduct")]
    write_questions(folder / "one.jsonl", asked)
    records = [example.objects[0] for example in read_examples(folder / "one.jsonl")]
    spectra = [record.spectra[0] for record in records]  # type: ignore[union-attr]
    assert [one.adduct for one in spectra] == [None, "[M+H]+", None]  # type: ignore[union-attr]
    assert [one.precursor_mz for one in spectra] == [89.0477] * 3  # type: ignore[union-attr]
    assert records[0] is records[2]


def test_a_record_that_is_not_there_is_told(folder: Path) -> None:
    write_questions(
        folder / "one.jsonl", [Question("[SPECTRUM]", (SpectrumReference("two.msp", 2),), "a", "t")]
    )
    with pytest.raises(DataError, match=r"two\.msp: has no record 2"):
        read_examples(folder / "one.jsonl")


@pytest.mark.parametrize(
    ("name", "old", "new", "told"),
    [
        ("two.msp", "30.03", "31.03", "has changed since the questions about it were made"),
        ("test.jsonl", "C2H5NO2", "C2H6NO2", "altered since it was written"),
        ("manifest.json", "two.msp", "twa.msp", "damaged"),
    ],
)
def test_what_was_altered_is_refused(folder: Path, name: str, old: str, new: str, told: str) -> None:
    with_manifest(folder)
    path = folder / name
    path.write_text(path.read_text().replace(old, new))
    with pytest.raises(DataError) as caught:
        read_examples(folder / "test.jsonl")
    assert told in str(caught.value)


def test_a_missing_file_is_told(folder: Path) -> None:
    with_manifest(folder)
    (folder / "two.msp").unlink()
    with pytest.raises(DataError, match=r"two\.msp: there is no such file"):
        read_examples(folder / "test.jsonl")
