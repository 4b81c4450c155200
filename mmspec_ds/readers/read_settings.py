"""The settings of the readers of files: limits, and the rules that a chemist may want otherwise."""

from pydantic import Field

from mmspec_ds.molecules.formula import parse_formula
from mmspec_ds.readers.picking.pick_settings import InfraredProcessingSettings, NMRProcessingSettings
from mmspec_ds.settings import Settings


class TandemReadSettings(Settings):
    """Settings of readers of MS/MS files."""

    max_peaks: int = Field(
        default=1000, ge=1, description="strongest peaks kept of a spectrum; a model reads 100 of them at most"
    )
    map_energies: bool = Field(
        default=True, description="replace a measured collision energy by the nearest one of the benchmark"
    )
    assumed_energy_ev: float = Field(
        default=20.0, gt=0, description="taken where a file has no collision energy that can be understood"
    )


class FormatSettings(Settings):
    """Settings of all readers; a block for each kind of instrument, of NMR and IR for continuous spectra."""

    ms: TandemReadSettings = TandemReadSettings()
    nmr: NMRProcessingSettings = NMRProcessingSettings()
    ir: InfraredProcessingSettings = InfraredProcessingSettings()

    def with_formula(self, formula: str | None) -> "FormatSettings":
        """The settings for a molecule of known formula, which bounds the hydrogens of 1H curves; unchanged
        where a formula is set already, or the text is not one."""
        if not formula or self.nmr.formula:
            return self
        try:
            parse_formula(formula)
        except ValueError:
            return self
        return self.model_copy(update={"nmr": self.nmr.model_copy(update={"formula": formula})})


DEFAULT_SETTINGS = FormatSettings()
