"""The registry of modalities and what it makes of whole records."""

import numpy as np
import pytest

from mmspec_ds.errors import ConfigError
from mmspec_ds.spectra.modalities.ms import TandemMSSettings
from mmspec_ds.spectra.records import CarbonNMR, HydrogenNMR, Infrared, Modality, Multiplet, Record, TandemMS
from mmspec_ds.spectra.registry import (
    REGISTRY,
    CompressionSettings,
    compress_record,
    modality_by_name,
    schema_of,
)

OPTIONS = CompressionSettings()


def peaks(number: int, energy: float) -> TandemMS:
    return TandemMS(np.arange(1.0, number + 1), np.arange(1.0, number + 1), "positive", energy)


def test_every_modality_has_one_entry_under_its_name() -> None:
    assert list(REGISTRY) == list(Modality)
    assert [entry.name for entry in REGISTRY.values()] == [
        "h_nmr",
        "c_nmr",
        "ir",
        "ms",
        "formula",
        "hsqc",
        "ei",
    ]
    for modality, entry in REGISTRY.items():
        assert entry.modality is modality
        assert modality_by_name(entry.name) is modality
        schema = schema_of(modality, OPTIONS)
        assert schema.discrete or schema.continuous


def test_an_unknown_name_gets_the_nearest_and_all() -> None:
    with pytest.raises(ConfigError) as caught:
        modality_by_name("cnmr")
    assert "did you mean c_nmr?" in str(caught.value)
    assert "(known: h_nmr, c_nmr, ir, ms, formula, hsqc, ei)" in str(caught.value)
    with pytest.raises(ConfigError, match="unknown modality 'x-ray'"):
        modality_by_name("x-ray")


def test_what_a_record_lacks_is_left_out() -> None:
    record = Record("r", (CarbonNMR((10.0,)),), formula="CH4")
    assert list(compress_record(record, Modality, OPTIONS)) == [Modality.C_NMR, Modality.FORMULA]
    assert list(compress_record(record, [Modality.C_NMR, Modality.IR], OPTIONS)) == [Modality.C_NMR]
    assert compress_record(Record("r"), Modality, OPTIONS) == {}


def test_ms_of_several_energies_are_joined() -> None:
    tokens = compress_record(Record("r", (peaks(150, 10), peaks(30, 40))), Modality, OPTIONS)[Modality.MS]
    assert len(tokens) == 100 + 30
    assert tokens.discrete[:100, 0].tolist() == [3] * 100
    assert tokens.discrete[100:, 0].tolist() == [9] * 30
    assert tokens.continuous[0, 0] == 51.0


def test_the_limit_of_a_record_is_shared_evenly() -> None:
    few = CompressionSettings(ms=TandemMSSettings(max_tokens=10))
    tokens = compress_record(Record("r", (peaks(50, 10), peaks(50, 20), peaks(50, 40))), Modality, few)
    assert tokens[Modality.MS].discrete[:, 0].tolist() == [3] * 3 + [5] * 3 + [9] * 3
    crowd = Record("r", tuple(peaks(2, 10) for _ in range(15)))
    assert len(compress_record(crowd, Modality, few)[Modality.MS]) == 10


def test_two_nmr_spectra_are_read_as_one() -> None:
    one, two = Multiplet(1.0, 1.0, 1.0, "s", 1), Multiplet(3.0, 3.0, 3.0, "s", 1)
    record = Record("r", (HydrogenNMR((one,)), HydrogenNMR((two,)), CarbonNMR((5.0,)), CarbonNMR((6.0,))))
    compressed = compress_record(record, Modality, OPTIONS)
    assert compressed[Modality.H_NMR].discrete[:, 0].tolist() == [50, 30]
    assert compressed[Modality.C_NMR].discrete[:, 0].tolist() == [260, 250]


def test_of_two_ir_spectra_the_first_counts() -> None:
    record = Record("r", (Infrared(np.array([0.0, 1.0])), Infrared(np.array([1.0, 0.0]))))
    tokens = compress_record(record, Modality, OPTIONS)[Modality.IR]
    assert len(tokens) == 256
    assert tokens.continuous[0, 0] == 0.0
