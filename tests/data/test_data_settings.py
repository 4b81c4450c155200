"""The data block of a run file."""

import pytest
from pydantic import ValidationError

from mmspec_ds.data.data_settings import DataSettings
from mmspec_ds.spectra.records import Modality


def test_defaults_are_the_four_instruments_compressed():
    settings = DataSettings()
    assert settings.chosen_modalities() == tuple(Modality)[:4]
    assert settings.representation == "compressed"


def test_modalities_come_in_the_order_of_a_sample():
    settings = DataSettings(modalities=("ms", "h_nmr"), formula=True)
    assert settings.chosen_modalities() == (Modality.H_NMR, Modality.MS, Modality.FORMULA)


def test_json_and_back():
    settings = DataSettings(train=("a.parquet",), modalities=("ir",), modality_dropout=0.25)
    assert DataSettings.model_validate_json(settings.model_dump_json()) == settings


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"modalities": ()}, "at least one modality"),
        ({"modalities": ("hnmr",)}, "did you mean h_nmr"),
        ({"modalities": ("ir", "ir")}, "named twice"),
        ({"modalities": ("formula",)}, "formula: true"),
        ({"representation": "pictures"}, "compressed"),
        ({"modality_dropout": 1.0}, "less than 1"),
        ({"validation_fraction": 0}, "greater than 0"),
        ({"train": ("a",), "validation": ("a",)}, "both in train and in validation"),
        ({"max_target_tokens": 0}, "greater than or equal to 1"),
        ({"traim": ("a",)}, "Extra inputs"),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, dict) else "",
)
def test_what_cannot_be_used_is_refused_with_its_key(options, message):
    with pytest.raises(ValidationError, match=message):
        DataSettings(**options)


def test_one_file_for_both_when_molecules_may_be_shared():
    assert DataSettings(train=("a",), validation=("a",), allow_shared_molecules=True).validation
