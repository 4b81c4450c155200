"""The text form equals, token by token, what the benchmark's own script made of the published sample."""

from pathlib import Path
from statistics import mean

import numpy as np
import pyarrow.parquet as pq
import pytest

from mmspec_ds.errors import DataError
from mmspec_ds.molecules.smiles import tokenize_smiles
from mmspec_ds.spectra.parquet import read_records
from mmspec_ds.spectra.records import HydrogenNMR, Infrared, Modality, Multiplet, Record, Spectrum, TandemMS
from mmspec_ds.spectra.registry import REGISTRY, text_tokens


def text_of(*spectra: Spectrum) -> list[str]:
    """The text of spectra of one modality."""
    return REGISTRY[spectra[0].modality].text(Record("r", spectra)) or []


@pytest.fixture(scope="module")
def published(shared_data: Path) -> list[tuple[Record, dict[str, list[str]]]]:
    folder = shared_data / "alberts"
    records = list(read_records(folder / "example_data_1.parquet", canonicalise=False))
    rows = pq.read_table(folder / "benchmark_text_of_example_data_1.parquet").to_pylist()
    assert len(records) == len(rows) == 100
    return [(record, {name: cell.split() for name, cell in row.items()}) for record, row in zip(records, rows)]


def test_every_token_of_every_column(published: list[tuple[Record, dict[str, list[str]]]]) -> None:
    for record, wanted in published:
        tokens = text_tokens(record)
        assert tokens[Modality.FORMULA] == wanted["formula"]
        assert tokens[Modality.H_NMR] == wanted["h_nmr"]
        assert tokens[Modality.C_NMR] == wanted["c_nmr"]
        assert tokens[Modality.IR] == wanted["ir"]
        assert tokens[Modality.MS] == wanted["msms_positive"] + wanted["msms_negative"]
        for polarity in ("positive", "negative"):
            spectra = tuple(s for s in record.spectra if isinstance(s, TandemMS) and s.polarity == polarity)
            assert text_of(*spectra) == wanted[f"msms_{polarity}"]
        assert record.smiles is not None
        assert [record.smiles] == wanted["smiles"]
        assert tokenize_smiles(record.smiles) == wanted["target"]


def test_mean_numbers_of_tokens(published: list[tuple[Record, dict[str, list[str]]]]) -> None:
    tokens = [text_tokens(record) for record, _ in published]
    means = {m: mean(len(segments[m]) for segments in tokens) for m in tokens[0]}
    assert means[Modality.H_NMR] == pytest.approx(59.5, abs=0.05)
    assert means[Modality.C_NMR] == pytest.approx(17.8, abs=0.05)
    assert means[Modality.IR] == 401
    assert means[Modality.MS] == pytest.approx(144, abs=0.5)


def test_multiplets_by_hand() -> None:
    spectrum = HydrogenNMR(
        (Multiplet(7.26, 7.304, 7.216, "dd", 1, (1.625, 8.0)), Multiplet(1.2, 1.25, 1.15, "s", 3))
    )
    assert " ".join(text_of(spectrum)) == "1HNMR 7.30 7.22 dd 1H J 1.62 8.00 | 1.25 1.15 s 3H"


def test_ir_by_hand() -> None:
    rising = text_of(Infrared(np.array([-1.0, 1.0])))
    assert rising[:3] == ["IR", "0", "0"]
    assert rising[-2:] == ["100", "100"]
    assert rising[201] == "50"  # the 201st of 400 points: 200 / 399 of the way
    assert text_of(Infrared(np.zeros(5)))[1:] == ["0"] * 400


def test_peaks_are_rounded_as_numpy_does() -> None:
    spectrum = TandemMS(np.array([50.04999, 60.0]), np.array([4.35, 8.65]), "negative", 20.0)
    tokens = text_of(spectrum)
    assert tokens == ["E1Neg", "50.0", "4.4", "60.0", "8.6"]


def test_a_record_has_only_the_segments_of_its_spectra() -> None:
    spectrum = TandemMS(np.array([50.0]), np.array([1.0]), "positive", 40.0)
    assert text_tokens(Record("r", (spectrum,))) == {Modality.MS: ["E2Pos", "50.0", "1.0"]}
    assert text_tokens(Record("r", formula="CCl4")) == {Modality.FORMULA: ["C", "Cl", "4"]}


@pytest.mark.parametrize("energy", [None, 35.0])
def test_an_energy_without_a_name_is_an_error(energy: float | None) -> None:
    spectrum = TandemMS(np.array([50.0]), np.array([1.0]), "positive", energy)
    with pytest.raises(DataError, match=f"record r has MS/MS at {energy} eV"):
        text_tokens(Record("r", (spectrum,)))
