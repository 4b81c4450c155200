"""A trained fusion model from its folder, a run or an export: records or samples of a cohort in, classes or
groups out, with what each modality contributes. DeepSpeed is not needed.

Axes: N samples, M modalities, C classes or groups.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mmspec_ds.errors import DataError
from mmspec_ds.nn.compiling import check_compiler
from mmspec_ds.spectra.records import Record
from mmspec_ds.systems.fusion.cohort.cohort import Cohort
from mmspec_ds.systems.fusion.data import FusionData
from mmspec_ds.systems.fusion.model import FusionModel
from mmspec_ds.systems.fusion.outcome import Outcome, tell
from mmspec_ds.systems.fusion.reading import data_of_records
from mmspec_ds.systems.fusion.run_settings import FusionRun
from mmspec_ds.systems.fusion.schema import Schema
from mmspec_ds.systems.fusion.stored import load_model
from mmspec_ds.systems.fusion.tables import data_of_cohort
from mmspec_ds.systems.fusion.task import batches_of


@dataclass(frozen=True)
class TrainedFusion:
    """A model in evaluation mode.

    Attributes:
        run: the settings.
        schema: what it reads and tells.
        model: with its weights.
        identity: a checksum of the weights.
        batch: samples at a time.
    """

    run: FusionRun
    schema: Schema
    model: FusionModel
    identity: str
    batch: int = 128

    @property
    def name(self) -> str:
        """The name of the run."""
        return self.run.name

    def predict(self, records: Sequence[Record]) -> Outcome:
        """What the model tells of records, each with spectra of any kinds that it reads.

        Raises:
            DataError: the model reads tables, or a record has no spectrum that it reads; names the record.
        """
        if self.schema.tables:
            raise DataError(f"model {self.name} reads the tables of a cohort: expected samples, not spectra")
        return self.outcome(data_of_records(records, self.schema, self.run.tokens))

    def predict_cohort(self, cohort: Cohort) -> Outcome:
        """What the model tells of the samples of a cohort, whose classes count as the truth.

        Raises:
            DataError: the model reads spectra, or the cohort has other tables, features or classes.
        """
        if not self.schema.tables:
            raise DataError(f"model {self.name} reads spectra: expected records, not the tables of a cohort")
        return self.outcome(data_of_cohort(cohort, self.schema, self.run.tokens))

    def outcome(self, data: FusionData) -> Outcome:
        """What the model tells of samples as it reads them.

        Raises:
            DataError: a sample has nothing that it reads, or the model is pretrained alone.
        """
        if self.schema.kind == "none":
            raise DataError(
                f"model {self.name} is pretrained alone, it tells nothing: expected one that classifies"
            )
        without = np.flatnonzero(data.has_NM.sum(axis=1) == 0)
        if len(without):
            known = ", ".join(self.schema.modalities)
            raise DataError(
                f"{data.ids[without[0]]}: has nothing that model {self.name} reads: expected any of {known}"
            )
        device = next(self.model.parameters()).device
        return tell(self.model, batches_of(data, self.batch), device)


def load_fusion(folder: str | Path, *, compiled: bool = False) -> TrainedFusion:
    """Read a trained run of this system, or an export, onto the CPU. Where there is a manifest, as in an
    export, the files must have its checksums.

    Args:
        folder: of the run or the export.
        compiled: for many calls of few samples each; see `FusionModel.compile_inference`. The first calls
            compile, which takes half a minute or more.

    Raises:
        DataError: no such folder, or a file of it is missing, was altered or does not fit; or it is to be
            compiled and there is no C++ compiler.
        ConfigError: a configuration that this version cannot read, or a model of another system.
    """
    if compiled:
        check_compiler("compiled")
    stored = load_model(Path(folder))
    if compiled:
        stored.model.compile_inference()
    return TrainedFusion(stored.run, stored.schema, stored.model, stored.identity)
