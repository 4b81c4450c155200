"""A modality that is defined here, in one file and one line of registration, goes all the way: it is written,
read, compressed, embedded, collated, prepared and read by a model, and nothing else is changed for it."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa
import pytest
import torch

from mmspec_ds.data.collate import collate
from mmspec_ds.data.data_settings import DataSettings
from mmspec_ds.data.encoding import InputEncoding
from mmspec_ds.data.formats import ReadOptions
from mmspec_ds.data.reading import read_dataset, read_training
from mmspec_ds.data.shards.plan import PrepareSettings
from mmspec_ds.data.shards.prepare import prepare_shards
from mmspec_ds.errors import DataError
from mmspec_ds.moe.expert_settings import ExpertSettings, MoESettings
from mmspec_ds.molecules.splits import SplitSettings
from mmspec_ds.nn.model_settings import ModelSettings
from mmspec_ds.settings import Settings
from mmspec_ds.spectra import registry
from mmspec_ds.spectra.columns import Faults, FileColumn, Items, ListCells, float_values, is_number, item_type
from mmspec_ds.spectra.modalities.definition import Drawing, ModalityDefinition, one_each, without_faults
from mmspec_ds.spectra.packed import PackedTokens, bounds_of
from mmspec_ds.spectra.parquet import available_modalities, read_records, write_records
from mmspec_ds.spectra.records import CarbonNMR, Modality, Record, Spectrum
from mmspec_ds.spectra.tokens import ContinuousField, TokenSchema
from mmspec_ds.systems.elucidation.factory import build_elucidator


def number_of(name: str, value: int) -> Modality:
    """What a line in `Modality` makes, while a test runs."""
    member = int.__new__(Modality, value)
    member._name_, member._value_ = name, value
    return member


RAMAN = number_of("RAMAN", 7)


@dataclass(frozen=True, slots=True)
class Raman:
    """Shifts of Raman lines in cm-1."""

    modality: ClassVar[Modality] = RAMAN
    shifts_cm1: tuple[float, ...]


class RamanDefinition(ModalityDefinition[Items, Settings]):
    """One token a line: its shift, embedded by sinusoids."""

    modality = RAMAN
    name = "raman"
    label = "Raman"
    unit = "cm-1"
    token_kind = "line"
    stored_in = "raman_lines"
    has_text = False
    settings = Settings()

    def schema(self, settings: Settings) -> TokenSchema:
        return TokenSchema(continuous=(ContinuousField("shift", wavelengths=(10.0, 4000.0)),))

    def most_tokens(self, settings: Settings) -> int:
        return 64

    def compress(self, columns: Items, settings: Settings) -> PackedTokens:
        order, offsets = columns.first(64, columns["shift"])
        shift = columns["shift"][order].astype(np.float32)
        return PackedTokens(np.empty((len(order), 0), dtype=np.int16), shift.reshape(-1, 1), offsets)

    def from_records(self, records: Sequence[Record]) -> Items:
        rows = [[cm1 for s in r.spectra if isinstance(s, Raman) for cm1 in s.shifts_cm1] for r in records]
        flat = np.array([cm1 for row in rows for cm1 in row], dtype=np.float64)
        return Items(np.array([len(row) for row in rows], dtype=np.int64), {"shift": flat})

    def file_columns(self, names: Collection[str]) -> list[FileColumn]:
        column = FileColumn("raman_lines", lambda kind: is_number(item_type(kind)), "a list of numbers")
        return [column] if "raman_lines" in names else []

    def decode(self, cells: Mapping[str, pa.Array], learnt: Any) -> tuple[Items, list[Faults]]:
        lists = ListCells(cells["raman_lines"])
        faults, shift = lists.faults("raman_lines"), lists.pick(float_values(lists.values))
        faults.items(~(shift > 0), lists.row_I, lambda at: f"a shift of {shift[at]:g} cm-1")
        return Items(lists.counts_N, {"shift": shift}).where(without_faults([faults])), [faults]

    def spectra(self, columns: Items) -> list[tuple[Spectrum, ...]]:
        shifts = columns["shift"].tolist()
        found: list[Any] = [Raman(tuple(shifts[a:b])) for a, b in bounds_of(columns.counts_N)]
        return [(one,) if one.shifts_cm1 else () for one in found]

    def arrays(self, records: Sequence[Record]) -> dict[str, pa.Array]:
        spectra = one_each(records, RAMAN, "raman_lines")
        cells = [None if one is None else list(one.shifts_cm1) for one in spectra]
        return {"raman_lines": pa.array(cells, pa.list_(pa.float64()))} if any(spectra) else {}

    def drawing(self, spectrum: Raman) -> Drawing:
        shifts = np.array(spectrum.shifts_cm1)
        return Drawing("sticks", shifts, np.ones(len(shifts)), "Raman shift (cm-1)")


@pytest.fixture
def raman(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The two lines that a modality needs besides its file."""
    monkeypatch.setitem(registry._REGISTERED, RAMAN, RamanDefinition())
    monkeypatch.setattr(Modality, "_member_names_", [*Modality._member_names_, "RAMAN"])
    monkeypatch.setitem(Modality._member_map_, "RAMAN", RAMAN)
    monkeypatch.setitem(Modality._value2member_map_, 7, RAMAN)
    yield
    assert list(Modality)[-1] is RAMAN


SMILES = ("CCO", "CC", "CCN", "c1ccccc1", "CC(C)=O", "CCCl", "OCCO", "CC#N", "CCOC", "CCBr")


@pytest.fixture
def path(raman: None, tmp_path: Path) -> Path:
    """Ten molecules with a Raman spectrum each, but for the second, and a 13C spectrum."""
    rows = []
    for number, smiles in enumerate(SMILES):
        lines: Any = Raman((1000.0 + number, 500.0, 2900.5))
        spectra = (CarbonNMR((10.0 * number + 1,)), lines)
        rows.append(Record(str(number), spectra[: 1 + (number != 1)], smiles))
    write_records(tmp_path / "raman.parquet", rows)
    return tmp_path / "raman.parquet"


def test_it_is_read_and_checked(path: Path, tmp_path: Path) -> None:
    assert RAMAN in available_modalities(path)
    records = list(read_records(path, modalities=[RAMAN, Modality.C_NMR]))
    assert records[0].spectra == (Raman((1000.0, 500.0, 2900.5)), CarbonNMR((1.0,)))
    assert records[1].spectra == (CarbonNMR((11.0,)),)
    bad: Any = Raman((-1.0,))
    write_records(tmp_path / "bad.parquet", [Record("", (bad,), "C")])
    with pytest.raises(DataError, match="row 0, column raman_lines: a shift of -1 cm-1"):
        list(read_records(tmp_path / "bad.parquet", modalities=[RAMAN]))


def test_a_model_reads_it(path: Path) -> None:
    settings = DataSettings(train=(path,), modalities=("raman", "c_nmr"), validation_fraction=0.3)
    data = read_training(settings)
    assert list(data.train.schemas) == [Modality.C_NMR, RAMAN]
    batch = collate(data.train, np.arange(len(data.train)))
    assert sorted(set(batch.spectra.modality_BS.flatten().tolist())) == [-1, 1, 7]
    shared = ExpertSettings(family="shared", width=32)
    own = ExpertSettings(family="modality", width=16, modalities=("raman",))
    model = build_elucidator(
        ModelSettings(d_model=32, heads=2, ffn_width=32, encoder_layers=1, decoder_layers=1),
        MoESettings(experts=(shared, own), k=1),
        data.train.schemas,
        len(data.vocabularies.target),
    )
    logits_BLV = model(batch, 1.0).logits_BLV
    logits_BLV.square().sum().backward()
    assert torch.isfinite(logits_BLV).all()
    gates = [value for name, value in model.named_parameters() if name.endswith("gate.tag")]
    assert [len(gate) for gate in gates] == [8]
    touched = model.embedding.real["RAMAN"].weight_RD.grad
    assert touched is not None
    assert touched.abs().sum() > 0


def test_shards_of_it_give_what_the_file_gives(path: Path, tmp_path: Path) -> None:
    settings = DataSettings(train=(path,), modalities=("raman", "c_nmr"), validation_fraction=0.3)
    folder, halves = tmp_path / "prepared", SplitSettings(validation=0.4, test=0.0)
    prepare_shards([path], folder, PrepareSettings(modalities=settings.modalities, split=halves))
    opened = read_training(settings.model_copy(update={"train": (folder,)})).train
    whole = read_dataset([path], InputEncoding.from_settings(settings))
    at = [whole.ids.index(one) for one in opened.ids]
    found, places = opened.fetch(np.arange(len(opened)))
    for modality, tokens in whole.tokens.items():
        expected = tokens.subset(np.array(at))
        np.testing.assert_array_equal(found.tokens[modality].subset(places).continuous, expected.continuous)
        assert found.tokens[modality].counts.tolist() == expected.counts.tolist()


def test_what_is_not_an_instrument_is_never_dropped(
    raman: None, monkeypatch: pytest.MonkeyPatch, path: Path
) -> None:
    class Known(RamanDefinition):
        is_instrument = False

    monkeypatch.setitem(registry._REGISTERED, RAMAN, Known())
    dataset = read_dataset([path], InputEncoding((Modality.C_NMR, RAMAN)), ReadOptions(skip_invalid=True))
    batch = collate(
        replace(dataset, targets=None), np.arange(9), modality_dropout=0.99, rng=np.random.default_rng(0)
    )
    assert len(batch.spectra.tokens[RAMAN].place_T) == 27
    assert len(batch.spectra.tokens[Modality.C_NMR].place_T) == 9
