"""What a modality tells the rest of the project. Each file of this folder defines one.

Axes: N rows of a batch.
"""

from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Generic, Literal, Self, TypeVar

import numpy as np
import pyarrow as pa
from pydantic import Field, model_validator

from mmspec_ds.settings import Settings
from mmspec_ds.spectra.columns import BoolArray, Faults, FileColumn
from mmspec_ds.spectra.packed import PackedTokens
from mmspec_ds.spectra.records import FloatArray, Modality, Record, Spectrum
from mmspec_ds.spectra.token_noise import Draws, TokenNoise
from mmspec_ds.spectra.tokens import TokenSchema

C = TypeVar("C")
"""The spectra of a batch of rows as flat arrays, in a form that each modality chooses."""
S = TypeVar("S", bound=Settings)
"""The settings of a modality's compression operator."""

TokenKind = Literal["multiplet", "line", "window", "peak", "element", "cross peak"]
_LARGEST_FIELD = 32_767  # tokens are stored as int16


@dataclass(frozen=True, slots=True)
class Drawing:
    """What to draw of a spectrum: `sticks` from 0 to y, a `curve` through (x, y), or `points` at (x, y).

    Attributes:
        weight: sizes of the points, negative for hollow ones.
        reverse: the axes that run from high to low.
        groups: the number of hydrogens of each stick or point, which gives its colour; None where not known.
        group_names: names of the groups from 0 on; others are called "4 H".
        marker: a place on the x axis with its name, drawn as a dashed line.
        label_format: of the x values written over the highest sticks; none if empty.
    """

    form: Literal["sticks", "curve", "points"]
    x: FloatArray
    y: FloatArray
    x_label: str
    y_label: str = ""
    weight: FloatArray | None = None
    reverse: Literal["", "x", "xy"] = ""
    groups: tuple[int | None, ...] = ()
    group_names: tuple[str, ...] = ()
    marker: tuple[float, str] | None = None
    label_format: str = ""


class ModalityDefinition(ABC, Generic[C, S]):
    """One modality, by which everything else reads, compresses, embeds, writes, names and draws it.

    Attributes:
        modality: its number, which is the row of the router's tables.
        name: as written in run files and on the command line.
        label: as written in tables and plots.
        unit: of the axis of its spectra; empty where there is none.
        token_kind: what one token stands for.
        settings: the defaults of its block in `data.compression`; None without one.
        noise: the defaults of its block in `training.augment`, without any noise.
        is_instrument: false for what is known besides the spectra, such as the formula. It does not count as a
            spectrum of a record, and modality dropout leaves it in.
        stored_in: the column that it needs, as an error message names it.
        file_column: that column, where there is only one.
        has_text: whether the benchmark writes it as text.
    """

    modality: ClassVar[Modality]
    name: ClassVar[str]
    label: ClassVar[str]
    unit: ClassVar[str] = ""
    token_kind: ClassVar[TokenKind]
    settings: S
    noise: TokenNoise = TokenNoise()
    is_instrument: ClassVar[bool] = True
    stored_in: ClassVar[str]
    file_column: ClassVar[FileColumn]
    has_text: ClassVar[bool] = True

    @abstractmethod
    def schema(self, settings: S) -> TokenSchema:
        """The fields of its tokens."""

    @abstractmethod
    def most_tokens(self, settings: S) -> int:
        """The largest number of tokens of a sample that the settings allow."""

    @abstractmethod
    def compress(self, columns: C, settings: S) -> PackedTokens:
        """The operator phi_m (paper eq. 2): the tokens of N rows."""

    def with_noise(self, tokens: PackedTokens, settings: S, noise: Any, draws: Draws) -> PackedTokens:
        """The tokens of N rows with other noise, in the order in which `compress` puts them; a row keeps at
        least one.

        Args:
            tokens: as `compress` makes them; not changed.
            settings: with which they were made.
            noise: of the type of the attribute `noise`; its `missing` is left to the caller.
            draws: a random number for each row or item.
        """
        return tokens

    def is_in(self, record: Record) -> bool:
        """Whether a record has it."""
        return any(record.of(self.modality))

    @abstractmethod
    def from_records(self, records: Sequence[Record]) -> C:
        """The spectra of N records as the operator takes them."""

    def file_columns(self, names: Collection[str]) -> list[FileColumn]:
        """The columns that hold it, among those of a parquet file; empty where there is none."""
        return [self.file_column] if self.file_column.name in names else []

    def learn(self, cells: Mapping[str, pa.Array]) -> Any:
        """What the first rows of a file say of all its rows, or None; `decode` is given it."""
        return None

    @abstractmethod
    def decode(self, cells: Mapping[str, pa.Array], learnt: Any) -> tuple[C, list[Faults]]:
        """The spectra of N rows of a file, and what is wrong; rows with a fault have no spectrum.

        Args:
            cells: the columns of `file_columns` by name, less those of nothing but nulls; not empty.
            learnt: what `learn` returned.
        """

    def spectra(self, columns: C) -> list[tuple[Spectrum, ...]]:
        """The spectra of each of N rows."""
        raise NotImplementedError(f"{self.name} has no spectra")

    @abstractmethod
    def arrays(self, records: Sequence[Record]) -> dict[str, pa.Array]:
        """The columns of a written file, by name. Columns and fields that the benchmark does not have are there
        only if a record needs them.

        Raises:
            ValueError: a record holds what the columns cannot.
        """

    def text(self, record: Record) -> list[str] | None:
        """The benchmark's text of a record (Alberts et al. 2024, by the rules of their script), which joins the
        tokens by blanks; None where the record lacks the modality. The text has room for one spectrum of a
        kind: of several the first is written.

        Raises:
            DataError: the text cannot say what the record holds.
        """
        raise NotImplementedError(f"the benchmark has no text of {self.name}")

    def drawing(self, spectrum: Any) -> Drawing:
        """What to draw of one spectrum."""
        raise NotImplementedError(f"{self.name} has nothing to draw")


def one_each(records: Sequence[Record], modality: Modality, column: str) -> list[Any]:
    """The spectrum of each record, None where it has none.

    Raises:
        ValueError: a record has two, for which the column has no room.
    """
    found: list[Any] = []
    for record in records:
        spectra = list(record.of(modality))
        if len(spectra) > 1:
            raise ValueError(f"record {record.id} has two spectra for column {column}")
        found.append(spectra[0] if spectra else None)
    return found


def without_faults(faults: Sequence[Faults]) -> BoolArray:
    """Rows that no fault was found in, [N]."""
    return ~np.logical_or.reduce([one.bad_N for one in faults])


class ShiftSettings(Settings):
    """Tokens with a shift in bins of `bin_ppm`."""

    max_tokens: int = Field(
        default=256, ge=1, description="lines or multiplets kept, from high to low shift (paper B.5)"
    )
    bin_ppm: float = Field(default=0.1, gt=0, description="width of a shift bin (paper B.5)")
    lowest_ppm: float
    highest_ppm: float

    @model_validator(mode="after")
    def _check(self) -> Self:
        _ = self.last_bin
        return self

    @property
    def last_bin(self) -> int:
        """The bin of the highest shift."""
        return last_shift_bin(self.lowest_ppm, self.highest_ppm, self.bin_ppm)


def last_shift_bin(lowest: float, highest: float, width: float) -> int:
    """The bin of the highest shift of an axis.

    Raises:
        ValueError: the axis has no bins, or more than a token's field can tell apart.
    """
    if not lowest < highest:
        raise ValueError(f"lowest_ppm {lowest} is not below highest_ppm {highest}")
    if (highest - lowest) / width >= _LARGEST_FIELD:
        raise ValueError(
            f"bin_ppm {width} gives more than {_LARGEST_FIELD} bins from {lowest} to {highest} ppm"
        )
    return int(np.floor((highest - lowest) / width + 0.5))
