"""The budgets of elucidation say what they promise."""

from mmspec_ds.simulator.noise_settings import NoiseSettings
from mmspec_ds.simulator.simulate import SimulationSettings
from mmspec_ds.studies.cells import settings_of
from mmspec_ds.studies.elucidation.budgets import BUDGETS
from mmspec_ds.studies.elucidation.definitions.variants import SPARSE, longer


def test_the_hard_budget_is_as_long_as_main_comparisons_with_noise_at_which_no_spectrum_tells_all() -> None:
    hard = BUDGETS["cpu-hard"]
    cell = SPARSE.cell()
    training = settings_of(cell, hard).training
    assert training == settings_of(longer(BUDGETS["cpu"], SPARSE).cell(), BUDGETS["cpu"]).training
    assert training.steps != settings_of(cell, BUDGETS["cpu"]).training.steps
    for name, recipe in hard.data.items():
        asked = SimulationSettings(molecules=recipe.molecules, **recipe.simulation)
        assert asked.noise == NoiseSettings.of_profile("hard"), name
        assert asked.noise != NoiseSettings(), name
