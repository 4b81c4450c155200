"""The run file of `mmspec cohort`: which tables, what their columns mean, which classes are compared."""

import re
import unicodedata
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import Field, field_validator, model_validator

from mmspec_ds.errors import ConfigError
from mmspec_ds.readers.feature_positions import PositionKind
from mmspec_ds.readers.mztab import Section
from mmspec_ds.readers.number_cells import Decimal
from mmspec_ds.readers.sample_columns import Orientation
from mmspec_ds.settings import Settings, read_yaml, validated
from mmspec_ds.systems.fusion.cohort.analysis_settings import AnalysisSettings, PreparationSettings
from mmspec_ds.systems.fusion.cohort.cohort import MOST_BLOCKS

Repeats = Literal["mean", "first", "keep"]
NO_PATIENT = "none"
"""As `patient`: no column names patients."""


class MetadataSettings(Settings):
    """A table that describes samples, beside those that measure them.

    Attributes:
        file: of the table.
        sheet: of a workbook.
        key: the column, in this table and in the measured one, by which rows are matched; the column of the
            samples without.
        join: match rows by "key", or by their "order" where the measured table names no samples.
    """

    file: Path
    sheet: str = ""
    key: str = ""
    join: Literal["key", "order"] = "key"


class TableSettings(Settings):
    """A table of measured values: one block.

    Attributes:
        name: of the block, such as "nmr".
        file: of the table; or a folder of raw MALDI-TOF spectra.
        sheet: of a workbook.
        sample: the column with the names of samples, in the table or its metadata; tables are matched by them.
        samples: whether samples are "rows" or "columns".
        metadata: a table that describes the samples of this one.
        leave_out: columns that are not used: names or shell patterns ("QC_*").
        decimal: the decimal mark: "point" or "comma".
        positions: what the names of features are: "ppm", "m/z" or "none".
        zeros: whether 0 is a "value", or means that a value is "missing".
        section: of mzTab-M: "features" or "molecules".
        bin_ppm: of a folder of raw MALDI-TOF spectra, the width of the bins of m/z that peaks are put into.
        prepare: how the values are prepared.
    """

    name: str = Field(pattern=r"^[A-Za-z0-9_-]{1,32}$")
    file: Path
    sheet: str = ""
    sample: str = ""
    samples: Orientation = "auto"
    metadata: MetadataSettings | None = None
    leave_out: tuple[str, ...] = ()
    decimal: Decimal = "auto"
    positions: PositionKind = "auto"
    zeros: Literal["value", "missing"] = "value"
    section: Section = "auto"
    bin_ppm: float = Field(2000.0, ge=50, le=50_000)
    prepare: PreparationSettings = PreparationSettings()


class ClassSettings(Settings):
    """The classes of samples.

    Attributes:
        column: the column of the class; several names where tables call it differently.
        names: by the name of a class, the values of the column that mean it. Samples with other values are left
            out. Without, each value is a class.
        compare: "pairs", every two classes; "all", all classes at once; or a list of lists of classes.
    """

    column: tuple[str, ...] = Field(min_length=1)
    names: dict[str, tuple[str, ...]] = {}
    compare: Literal["pairs", "all"] | tuple[tuple[str, ...], ...] = "pairs"

    @field_validator("column", mode="before")
    @classmethod
    def _one_or_several(cls, value: Any) -> Any:
        return (value,) if isinstance(value, str) else value

    @field_validator("names", mode="before")
    @classmethod
    def _texts(cls, value: Any) -> Any:
        """Values as a table has them: YAML reads 0 and 1 as numbers, and a single one needs no list."""
        if not isinstance(value, dict):
            return value
        listed = {name: some if isinstance(some, list | tuple) else [some] for name, some in value.items()}
        for name, some in listed.items():
            if any(isinstance(one, bool) for one in (name, *some)):
                raise ValueError(
                    f"class {name}: yes, no, on, off, true or false without quotes, which YAML reads as a truth"
                    " value: expected quotes, such as 'no'"
                )
        return {str(name): [_as_written(one) for one in some] for name, some in listed.items()}

    @model_validator(mode="after")
    def _no_value_of_two(self) -> Self:
        values = [value for some in self.names.values() for value in some]
        twice = sorted({value for value in values if values.count(value) > 1})
        if twice:
            raise ValueError(f"classes.names gives {twice[0]!r} to two classes: expected one")
        if self.names and not isinstance(self.compare, str):
            unknown = sorted({one for some in self.compare for one in some} - set(self.names))
            if unknown:
                raise ValueError(f"classes.compare names {unknown[0]!r}: expected names of classes.names")
        if not isinstance(self.compare, str):
            for some in self.compare:
                if len(some) < 2 or len(set(some)) < len(some):
                    raise ValueError(
                        f"classes.compare has {list(some)}: expected two or more different classes"
                    )
        return self


class CohortRun(Settings):
    """Everything that `mmspec cohort` depends on.

    Attributes:
        name: of the run.
        tables: those that are measured, a block each.
        metadata: a table that describes the samples of all of them.
        classes: which column has the class, and what is compared.
        patient: the column of the patient, or of what else must stay on one side of a split; without, each
            sample is a patient of its own, and a column that seems to name patients with several samples is
            refused. "none" says that none does.
        batch: the column of the measurement batch.
        covariates: columns that are listed in the results, beside the patient.
        repeats: what becomes of samples that a table has several times: their "mean", the "first", or "keep",
            each as a sample of its own, on the same side of every split.
        analysis: how the cohort is analysed.
        output: the folder for the results of runs, each in a folder of its name.
    """

    name: str = Field("cohort", pattern=r"^[A-Za-z0-9._-]{1,64}$")
    tables: tuple[TableSettings, ...] = Field((), max_length=MOST_BLOCKS)
    metadata: MetadataSettings | None = None
    classes: ClassSettings
    patient: str = ""
    batch: str = ""
    covariates: tuple[str, ...] = ()
    repeats: Repeats = "mean"
    analysis: AnalysisSettings = AnalysisSettings()
    output: Path = Path("runs")

    @model_validator(mode="after")
    def _names_differ(self) -> Self:
        names = [table.name for table in self.tables]
        if len(set(names)) < len(names):
            raise ValueError(f"tables are named {', '.join(names)}: expected different names")
        if self.analysis.preparation:
            raise ValueError("analysis.preparation is set by `prepare` of each table: expected it there")
        if self.analysis.folds.keep_batches and not self.batch:
            raise ValueError(
                "analysis.folds.keep_batches is true, but `batch` names no column of batches: expected one, or"
                " false"
            )
        if self.metadata is not None and self.metadata.join == "order":
            raise ValueError("metadata.join is order, but rows of several tables differ: expected key")
        return self

    @property
    def patient_column(self) -> str:
        """The column of the patient; "" if there is none."""
        return "" if self.patient.casefold() == NO_PATIENT else self.patient

    def prepared(self) -> AnalysisSettings:
        """The settings of the analysis, with how each block is prepared."""
        preparation = {table.name: table.prepare for table in self.tables}
        return self.analysis.model_copy(update={"preparation": preparation})


def load_cohort_run(path: Path, overrides: Sequence[str] = (), tables: Sequence[Path] = ()) -> CohortRun:
    """The run of a file. Paths in it begin at its folder, those of the command line at the current one.

    Args:
        path: of the run file.
        overrides: `section.key=value` texts of the command line.
        tables: files that take the places of the run file's tables, in their order; where it names no tables,
            each is one, see `block_names`.

    Raises:
        ConfigError: an unreadable file, an unknown key, a value that does not fit, or another number of tables.
    """
    content = read_yaml(path, [_from_here(text) for text in overrides])
    given = content.get("tables") or []
    if tables and isinstance(given, list):
        if given and len(given) != len(tables):
            raise ConfigError(
                f"{path}: has {len(given)} tables, but the command line gives {len(tables)}: expected as many,"
                " in the same order"
            )
        entries = given or [{"name": name} for name in block_names(tables)]
        content["tables"] = [
            {**entry, "file": str(file.absolute())} if isinstance(entry, dict) else entry
            for entry, file in zip(entries, tables)
        ]
    run = validated(CohortRun, content, str(path))
    if not run.tables:
        raise ConfigError(f"{path}: tables: none are named: expected them there, or on the command line")
    return _from_folder(run, path.absolute().parent)


def block_names(files: Sequence[Path]) -> list[str]:
    """A name for the table of each file, of letters, digits, `_` and `-`, none twice: that of the file where it
    can be."""
    found: list[str] = []
    for file in files:
        letters = unicodedata.normalize("NFKD", file.name.split(".")[0]).encode("ascii", "ignore").decode()
        plain = re.sub(r"[^A-Za-z0-9_-]+", "_", letters).strip("_")[:28] or "table"
        name, count = plain, 1
        while name.casefold() in (one.casefold() for one in found):
            count += 1
            name = f"{plain}_{count}"
        found.append(name)
    return found


def _from_here(override: str) -> str:
    """An override of a path, made absolute."""
    key, equals, value = override.partition("=")
    return f"{key}={Path(value).absolute()}" if equals and key.endswith(".file") else override


def _from_folder(run: CohortRun, folder: Path) -> CohortRun:
    """The run with the paths of its tables absolute; the folder of results stays as it is."""

    def moved(metadata: MetadataSettings | None) -> MetadataSettings | None:
        return metadata and metadata.model_copy(update={"file": folder / metadata.file})

    tables = tuple(
        one.model_copy(update={"file": folder / one.file, "metadata": moved(one.metadata)})
        for one in run.tables
    )
    return run.model_copy(update={"tables": tables, "metadata": moved(run.metadata)})


def _as_written(value: Any) -> Any:
    return str(value) if isinstance(value, int | float) else value
