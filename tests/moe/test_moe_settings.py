"""What the settings of the sparse layer refuse."""

import pytest
from pydantic import ValidationError

from mmspec_ds.moe.expert_settings import ExpertSettings, MoESettings, ObjectiveSettings


def test_the_default_is_the_papers_table_9() -> None:
    settings = MoESettings()
    assert (settings.k, settings.capacity_factor, len(settings.experts)) == (2, 1.25, 8)
    assert sorted(e.width for e in settings.experts) == [512] * 4 + [2048] * 4


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ({"family": "shared", "width": 24}, "multiple of 16"),
        ({"family": "shared", "width": 0}, "greater than 0"),
        ({"family": "shared", "width": 16, "modalities": ("ir",)}, "family is 'modality'"),
        ({"family": "modality", "width": 16}, "family is 'modality'"),
        ({"family": "heavy", "width": 16}, "'shared', 'modality' or 'interaction'"),
    ],
    ids=str,
)
def test_expert_that_cannot_be(values: dict[str, object], told: str) -> None:
    with pytest.raises(ValidationError, match=told):
        ExpertSettings.model_validate(values)


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ({"k": 9}, "k is 9, but there are 8 experts"),
        ({"k": 0}, "greater than or equal to 1"),
        ({"experts": ()}, "at least 1 item"),
        ({"mode": "dropful"}, "'dropless' or 'capacity'"),
        ({"capacity_factor": 0.0}, "greater than 0"),
        ({"dynamic_share": 1.5}, "less than or equal to 1"),
        ({"exchange_chunks": 0}, "greater than or equal to 1"),
    ],
    ids=str,
)
def test_layer_that_cannot_be(values: dict[str, object], told: str) -> None:
    with pytest.raises(ValidationError, match=told):
        MoESettings.model_validate(values)


def test_schedules_cannot_divide_by_zero() -> None:
    for name in ("balance_until", "temperature", "temperature_min", "temperature_decay"):
        with pytest.raises(ValidationError, match="greater than 0"):
            ObjectiveSettings.model_validate({name: 0})
