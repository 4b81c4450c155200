"""The folder of a trained model of any system by its name: a run, an export, or the model of the package."""

from pathlib import Path

from mmspec_ds.errors import DataError
from mmspec_ds.trainer.run_settings import CONFIG

SHIPPED = Path(__file__).parents[1] / "models"
STARTER = "starter"
"""The name of the model that comes with the package; it proposes structures."""


def resolve_model(name: str | Path) -> Path:
    """The folder of a model by its name. `starter` is the one that comes with the package, unless a folder of
    that name holds a run; anything else is a path.

    Raises:
        DataError: this installation has no starter model.
    """
    if str(name) != STARTER or (Path(name) / CONFIG).is_file():
        return Path(name)
    shipped = SHIPPED / STARTER
    if not (shipped / CONFIG).is_file():
        raise DataError("`starter` did not come with this installation: expected the folder of a trained run")
    return shipped
