import pytest
from pydantic import ValidationError

from mmspec_ds.nn.model_settings import ModelSettings


def test_the_defaults_are_the_papers_sizes() -> None:
    settings = ModelSettings()
    assert (settings.encoder_layers, settings.decoder_layers) == (6, 6)
    assert (settings.d_model, settings.heads, settings.ffn_width) == (512, 8, 2048)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"d_model": 100, "heads": 8}, "d_model must be a multiple of heads: 100 is no multiple of 8"),
        ({"heads": 0}, "greater than 0"),
        ({"encoder_layers": -1}, "greater than 0"),
        ({"dropout": 1.0}, "less than 1"),
        ({"sinusoid_features": 7}, "multiple of 2"),
        ({"d_mode": 8}, "Extra inputs are not permitted"),
    ],
)
def test_sizes_that_make_no_model_are_refused(change: dict[str, float], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        ModelSettings(**change)
