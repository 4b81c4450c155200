"""Answers piece by piece: what is held at once, what is asked for, and what is passed over."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from mmspec_ds.data.encoding import InputEncoding
from mmspec_ds.molecules.vocabulary import Vocabulary
from mmspec_ds.nn.model_settings import ModelSettings
from mmspec_ds.readers.batches import read_requests
from mmspec_ds.readers.requests import MOST_REMARKS, Request, Source, request_of_sources, requests_of_file
from mmspec_ds.spectra.records import CarbonNMR, Modality, Record, TandemMS
from mmspec_ds.systems.elucidation import predict_files
from mmspec_ds.systems.elucidation.model import Elucidator
from mmspec_ds.systems.elucidation.predict_files import Asked
from mmspec_ds.systems.elucidation.run_settings import ElucidationRun, ElucidationTraining
from mmspec_ds.systems.elucidation.trained import TrainedModel

FILES = Path(__file__).parents[2] / "readers/files"


@pytest.fixture
def trained() -> TrainedModel:
    """An untrained model of 13C spectra."""
    torch.manual_seed(0)
    sizes = ModelSettings(
        d_model=16, heads=2, encoder_layers=1, decoder_layers=1, ffn_width=16, max_target_tokens=6
    )
    encoding = InputEncoding((Modality.C_NMR,))
    vocabulary = Vocabulary.build([["C", "O"]])
    model = Elucidator(sizes, encoding.schemas, len(vocabulary)).eval()
    run = ElucidationRun(name="small", engine=Path("engine.json"), training=ElucidationTraining(steps=1))
    return TrainedModel(run, model, vocabulary, encoding)


def test_no_more_than_a_piece_is_asked_for_ahead(
    trained: TrainedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(predict_files, "PIECE", 3)
    asked: list[int] = []

    def requests() -> Iterator[Request]:
        for number in range(10**9):
            asked.append(number)
            yield Request(f"r{number}", Record(f"r{number}", (CarbonNMR((float(number),)),)))

    answers = predict_files.predict_requests(trained, requests(), Asked(beam=1, top=1))
    assert [next(answers)["id"] for _ in range(4)] == ["r0", "r1", "r2", "r3"]
    assert asked == list(range(6))


def test_answers_keep_their_order_among_faults(trained: TrainedModel) -> None:
    spectra = {"a": (CarbonNMR((10.0,)),), "c": (CarbonNMR((90.0, 30.0)),)}
    requests = [
        Request("a", Record("a", spectra["a"]), remarks=("guessed",)),
        Request("b", error="why"),
        Request("c", Record("c", spectra["c"], formula="CH4")),
        Request("d", Record("d", ())),
    ]
    a, b, c, d = predict_files.predict_requests(trained, requests, Asked(beam=2, top=2))
    (alone,) = predict_files.predict_requests(trained, [requests[2]], Asked(beam=2, top=2))
    keys = ["id", "candidates", "confidence", "composition", "invalid", "merged", "read", "unused", "remarks"]
    assert list(a) == keys
    assert a["remarks"] == ["guessed"]
    assert b == {"id": "b", "error": "why", "remarks": []}
    assert [one["smiles"] for one in c["candidates"]] == [one["smiles"] for one in alone["candidates"]]
    assert (c["read"], c["unused"]) == (["c_nmr"], ["formula"])
    assert d["error"] == "nothing that this model reads: expected c_nmr, got no spectrum"


def test_survey_scans_are_no_records() -> None:
    found = list(requests_of_file(FILES / "psims.mzML", None))
    assert [one.id for one in found] == [f"psims.mzML:{number}" for number in range(1, 1 + len(found))]
    assert all(one.error is None for one in found)


def test_ei_spectra_are_passed_over_where_they_are_not_read(tmp_path: Path) -> None:
    ionised, tandem = (
        "BEGIN IONS\nION_SOURCE=EI\n77 10\nEND IONS\n",
        "BEGIN IONS\nPEPMASS=99\n77 10\nEND IONS\n",
    )
    both, alone = tmp_path / "both.mgf", tmp_path / "alone.mgf"
    both.write_text(ionised + tandem)
    alone.write_text(ionised * 2)
    assert [one.id for one in requests_of_file(both, None)] == ["both.mgf:1"]
    (none,) = requests_of_file(alone, None)
    assert none.error == f"{alone}: no record with spectra of a kind that is read (EI-MS)"
    assert [one.id for one in read_requests([both], ignored=frozenset())] == ["both.mgf:0", "both.mgf:1"]
    request = request_of_sources("r", [Source(alone)], None)
    assert request.record is not None
    assert [one.modality for one in request.record.spectra] == [Modality.EI] * 2


def test_a_folder_with_what_cannot_be_opened(tmp_path: Path) -> None:
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    (tmp_path / "gone.mgf").symlink_to(tmp_path / "nowhere")
    os.mkfifo(tmp_path / "pipe.mgf")
    (tmp_path / "sub").mkdir()
    os.mkfifo(tmp_path / "sub/pipe.mgf")
    found = {one.id: one.error or "" for one in read_requests([tmp_path, tmp_path / "sub"])}
    assert list(found) == ["gone.mgf", "loop", "pipe.mgf", "sub"]
    assert "there is no such file" in found["gone.mgf"]
    assert "loop: cannot be read: " in found["loop"]
    assert "is not a regular file" in found["pipe.mgf"]
    (empty,) = read_requests([tmp_path / "sub/none"])
    assert empty.error is not None
    assert "there is no such file" in empty.error


def test_remarks_are_bounded(tmp_path: Path) -> None:
    spectrum = "BEGIN IONS\nPEPMASS=100\nCHARGE=1+\nCOLLISION_ENERGY={0}\n50 1\nEND IONS\n"
    path = tmp_path / "many.mgf"
    path.write_text("".join(spectrum.format(11 + number % 5) for number in range(200)))
    request = request_of_sources("r", [Source(path, Modality.MS)], None)
    assert len(request.remarks) == MOST_REMARKS
    assert request.remarks[-1] == "and 151 more remarks"
    assert request.record is not None
    assert all(isinstance(one, TandemMS) for one in request.record.spectra)


def test_an_empty_folder_has_a_name_in_its_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (found,) = read_requests([Path(".")])
    assert (found.id, found.error) == (".", ".: the folder is empty")
