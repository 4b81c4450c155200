"""What a study is made of: cells to train and measure, the budget they are given, tables and figures.

A study says which cells it needs (`Study.cells`) and lays out what was measured on them (`Study.tables`,
`Study.figures`). A cell is one training of one model and its measures. Two studies that need the same training
name an equal cell, and it is trained once.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, Protocol, TypeAlias


@dataclass(frozen=True)
class DataRecipe:
    """The spectra of molecules that a cell learns from and is asked about.

    Attributes:
        folder: the name of their folder in OUT/data. Recipes that differ in `overrides` alone share it.
        molecules, max_heavy_atoms, seed: what `mmspec simulate` is asked for.
        simulation: further settings of the simulation, such as {"noise": {"carbon_ppm": 1.0}}.
        files: the files of the user that are used instead; nothing is simulated.
        given: the folder of the user, as `mmspec simulate` writes it, that is used instead.
        overrides: how a run reads the data, by dotted setting, such as {"data.representation": "text"}.
        shards: train on prepared shards, which hold compressed spectra; else on the parquet files.
    """

    folder: str
    molecules: int = 0
    max_heavy_atoms: int = 0
    seed: int = 0
    simulation: Mapping[str, Any] = field(default_factory=dict)
    files: tuple[Path, ...] = ()
    given: Path | None = None
    overrides: Mapping[str, Any] = field(default_factory=dict)
    shards: bool = True


@dataclass(frozen=True)
class Budget:
    """What a study may cost.

    Attributes:
        name: of the budget: smoke, cpu, gpu or paper.
        overrides: settings of every cell, by dotted name; those of a cell come on top.
        seeds: how many seeds a variant is trained with, 0 to `seeds` - 1.
        data: the recipes by name.
        evaluate: molecules, or queries of a search, that accuracy is measured on.
        beam: hypotheses of beam search, where there is one.
        width: of a heavy expert and of a dense feed-forward network, where a study varies them; a light expert
            has a quarter.
        about: how long is trained, in words, for the head of a table.
        molecules: what there is to learn from, in words.
        main_seeds: seeds of the main comparison, where a lead must be seen over seeds; None: `seeds`.
        language: the folder of a pretrained language model, which the user names; None: no cell reads one.
    """

    name: str
    overrides: Mapping[str, Any]
    seeds: int
    data: Mapping[str, DataRecipe]
    evaluate: int
    beam: int = 0
    width: int = 256
    about: str = ""
    molecules: str = ""
    main_seeds: int | None = None
    language: Path | None = None


@dataclass(frozen=True)
class Cell:
    """One training of one model, and what is measured on it.

    Attributes:
        base: a shipped run file, such as "study" for `ds_configs/runs/study.yaml`, which says the system. Where
            nothing is trained it still says how data are read.
        overrides: values by dotted setting, on top of the base and of the budget's own; `{"moe": None}` makes
            a model dense.
        data: the name of a data recipe of the budget.
        seed: of weights, order of samples and dropout.
        measures: names among those of the system. They are no part of what the training is: another study may
            ask for other measures of the same training.
        start_from: the cell whose weights the training begins with; a dense one is upcycled for a sparse one.
        trains: False where nothing is learnt: the measures then see the data alone, or with `overrides` a model
            of these settings as it is drawn.
    """

    base: str
    overrides: Mapping[str, Any]
    data: str
    seed: int
    measures: tuple[str, ...]
    start_from: "Cell | None" = None
    trains: bool = True


@dataclass(frozen=True)
class DataFiles:
    """Where the data of a cell are: the files to train on, to validate on and to ask about, which may be the
    same; the prepared shards that a cell trains on instead of `train`; or, without these, the folder that keeps
    what was read of the files."""

    train: tuple[Path, ...]
    validation: tuple[Path, ...]
    test: tuple[Path, ...]
    shards: Path | None = None
    cache: Path | None = None


@dataclass(frozen=True)
class MeasureContext:
    """What a measure is given.

    Attributes:
        cell, budget: what is measured, and how many molecules and hypotheses it may take.
        load: reads the model of a cell (`StudySystem.load`).
        run: the folder of the trained run; in it `metrics.jsonl`, `config.yaml` and what the run kept.
        data: the files; measures of accuracy use `data.test`.
        device: "cpu" or "cuda".
        folder: of the results, for files that are kept beside them, such as arrays for a figure.
    """

    cell: Cell
    budget: Budget
    run: Path
    data: DataFiles
    load: Callable[["MeasureContext"], Any]
    device: str = "cpu"
    folder: Path | None = None

    @cached_property
    def trained(self) -> Any:
        """The model as its system reads it, in evaluation mode, on the device; read once for all measures of a
        cell."""
        return self.load(self)


Measure: TypeAlias = Callable[[MeasureContext], dict[str, Any]]
"""A function of a trained model and its data; its result holds values that JSON has."""


@dataclass(frozen=True)
class Value:
    """A figure over seeds: the mean, the standard deviation with n - 1 (None for a single seed), and n."""

    mean: float
    sd: float | None = None
    n: int = 1


Entry: TypeAlias = "Value | float | int | str | None"
"""What stands in a table: a figure, a word, or None where nothing was measured."""


@dataclass(frozen=True)
class Column:
    """A column of a table.

    Attributes:
        key: what the rows' entries are found by.
        head: what stands above it, with the unit.
        digits: after the decimal point.
        better: "higher" or "lower": the best mean of our own entries is set in bold; None: none is.
        paper: whether the paper's values of this column stand beside ours.
    """

    key: str
    head: str
    digits: int = 2
    better: Literal["higher", "lower"] | None = None
    paper: bool = True


@dataclass(frozen=True)
class Row:
    """A row of a table: its name, our entries and the paper's by the key of the column.

    Rows that follow each other with one `group` stand under that head, and the best is sought among them.
    """

    name: str
    entries: Mapping[str, Entry]
    paper: Mapping[str, Entry] = field(default_factory=dict)
    group: str = ""


@dataclass(frozen=True)
class Table:
    """A table of a study, laid out as the paper's.

    Attributes:
        title: what it shows, such as "Table 1. Modality combinations".
        columns, rows: in order; the first column, of the rows' names, is headed `names`.
        about: what was equal between the rows and what was not, one sentence an item.
        notes: below the table, such as corrections to the paper.
    """

    title: str
    columns: Sequence[Column]
    rows: Sequence[Row]
    names: str = ""
    about: Sequence[str] = ()
    notes: Sequence[str] = ()

    def groups(self) -> Iterator[tuple[str, list[Row]]]:
        """The rows under each head, in order."""
        kept: list[Row] = []
        for row in self.rows:
            if kept and kept[-1].group != row.group:
                yield kept[0].group, kept
                kept = []
            kept.append(row)
        if kept:
            yield kept[0].group, kept


@dataclass(frozen=True)
class FigureFile:
    """A figure: the name of its file without the ending, the picture as PNG, and what it shows in words."""

    name: str
    png: bytes
    caption: str


class Results(Protocol):
    """What was measured on the cells of a study within a budget (`results.StoredResults`)."""

    @property
    def budget(self) -> Budget:
        """The budget within which the cells were trained."""

    @property
    def cells(self) -> Sequence[Cell]:
        """The study's cells, each training once."""

    def of(self, cell: Cell, measure: str) -> dict[str, Any] | None:
        """The result of a measure of a cell; None where it was not made."""

    def training(self, cell: Cell) -> dict[str, Any] | None:
        """What is known of a cell's training (`outcome.training_result`); None where it was not trained."""

    def alike(self, cell: Cell) -> Sequence[Cell]:
        """The study's cells that differ from this one in the seed alone, itself included, by seed."""

    def values(self, cells: Iterable[Cell], measure: str, key: str) -> list[float]:
        """The figure `key` (dotted, for a nested one) of a measure of each of some cells that have it; the
        measure "training" stands for `training`."""

    def value(self, cell: Cell, measure: str, key: str) -> Value | None:
        """A figure over the seeds of a cell, mean and standard deviation; None where no seed has it."""


@dataclass(frozen=True)
class Study:
    """A table or figure as a command.

    Attributes:
        name: what `mmspec study` is given.
        title: one line for `mmspec study --list`.
        about: a paragraph for the page: the question, and what is varied.
        cells: the cells for a budget. Equal cells are trained once.
        tables, figures: of the results, which may lack cells that were not run.
    """

    name: str
    title: str
    about: str
    cells: Callable[[Budget], Sequence[Cell]]
    tables: Callable[[Results], Sequence[Table]]
    figures: Callable[[Results], Sequence[FigureFile]] = lambda results: ()
