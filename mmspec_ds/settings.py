"""The base of every block of settings: frozen, typed, unknown keys refused."""

from pydantic import BaseModel, ConfigDict


class Settings(BaseModel):
    """Each room defines its own block of settings; `mmspec_ds.config` composes them into a run file."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True)
