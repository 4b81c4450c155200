"""The settings of the readers of files: limits, and the rules that a chemist may want otherwise."""

from pydantic import Field

from mmspec_ds.settings import Settings


class TandemReadSettings(Settings):
    """MS/MS files."""

    max_peaks: int = Field(
        default=1000, ge=1, description="strongest peaks kept of a spectrum; a model reads 100 of them at most"
    )


class FormatSettings(Settings):
    """What every reader is given; a block for each kind of instrument."""

    ms: TandemReadSettings = TandemReadSettings()


DEFAULT_SETTINGS = FormatSettings()
