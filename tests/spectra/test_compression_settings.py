"""Settings that cannot be meant are refused, each with its reason."""

from typing import Any

import pytest
from pydantic import ValidationError

from mmspec_ds.spectra.modalities.ir import InfraredSettings
from mmspec_ds.spectra.registry import CompressionSettings


@pytest.mark.parametrize(
    ("block", "values", "reason"),
    [
        ("ir", {"window": 5}, "windows of 5 every 4 leave the last of 1024 intervals out"),
        ("ir", {"window": 2048}, "window 2048 is larger than intervals 1024"),
        ("ir", {"stride": 8}, "stride 8 is larger than window 4"),
        ("ir", {"intervals": 1}, "greater than or equal to 2"),
        ("ir", {"lowest_cm1": 4000.0}, "not below"),
        ("h_nmr", {"bin_ppm": 0.0}, "greater than 0"),
        ("h_nmr", {"lowest_ppm": 20.0}, "not below"),
        ("c_nmr", {"bin_ppm": 0.001}, "more than 32767 bins"),
        ("c_nmr", {"max_tokens": 0}, "greater than or equal to 1"),
        ("ms", {"max_peak": 5}, "Extra inputs are not permitted"),
        ("uv", {}, "Extra inputs are not permitted"),
    ],
)
def test_refused(block: str, values: dict[str, Any], reason: str) -> None:
    with pytest.raises(ValidationError, match=reason):
        CompressionSettings.model_validate({block: values})


def test_defaults_are_those_of_the_paper() -> None:
    options = CompressionSettings()
    assert (options.h_nmr.max_tokens, options.c_nmr.max_tokens) == (256, 256)
    assert (options.h_nmr.bin_ppm, options.c_nmr.bin_ppm) == (0.1, 0.1)
    assert (options.ir.intervals, options.ir.window, options.ir.stride) == (1024, 4, 4)
    assert options.ir.tokens == 256
    assert options.ms.max_peaks == 100
    assert InfraredSettings(window=32, stride=32).tokens == 32
