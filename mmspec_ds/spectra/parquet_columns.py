"""From Arrow columns to spectra: one decoder a column, which checks every cell that it decodes.

Lists are cut out of Arrow's flat buffers by their offsets, without a Python object for each number.
"""

import math
from abc import ABC, abstractmethod
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from mmspec_ds.molecules.formula import parse_formula
from mmspec_ds.molecules.smiles import canonical_smiles
from mmspec_ds.spectra import benchmark_schema as schema
from mmspec_ds.spectra.records import CarbonNMR, HydrogenNMR, Infrared, Multiplet, Spectrum, TandemMS

H_SHIFT_PPM = (-10.0, 30.0)
"""1H shifts outside are taken for a fault of the file."""
C_SHIFT_PPM = (-50.0, 300.0)
"""13C shifts outside are taken for a fault of the file."""

Offsets = npt.NDArray[np.int64]


class CellError(ValueError):
    """What is wrong with one cell; the reader adds file, row and column."""


class ListColumn:
    """A batch of one list column: which rows are null, where each list starts and ends, the flat values."""

    def __init__(self, array: pa.Array) -> None:
        if pa.types.is_fixed_size_list(array.type):
            array = array.cast(pa.list_(array.type.value_type))
        self.null = array.is_null().to_numpy(zero_copy_only=False)
        self.offsets: Offsets = array.offsets.to_numpy().astype(np.int64)
        self.values: pa.Array = array.values

    def bounds(self, row: int) -> tuple[int, int] | None:
        """Start and end of a row's list in `values`, or None where the cell is null.

        Raises:
            CellError: the list is empty.
        """
        if self.null[row]:
            return None
        start, end = int(self.offsets[row]), int(self.offsets[row + 1])
        if start == end:
            raise CellError("the list is empty (an absent spectrum must be null)")
        return start, end


class SpectrumColumn(ABC):
    """Decodes one column into spectra, a batch at a time."""

    expected: str
    """The type of the column in words, for errors."""
    fields: tuple[str, ...] = ()
    """Those that are read of a list of structs; others are not loaded."""

    def __init__(self, name: str) -> None:
        self.name = name

    @abstractmethod
    def accepts(self, column_type: pa.DataType) -> bool:
        """Whether a column of this type can be decoded."""

    @abstractmethod
    def load(self, array: pa.Array) -> None:
        """Take the next batch of the column."""

    @abstractmethod
    def spectrum(self, row: int) -> Spectrum | None:
        """The spectrum of a row of the batch, None where the cell is null.

        Raises:
            CellError: the cell cannot be used.
        """


class HydrogenColumn(SpectrumColumn):
    """1H multiplets: category, centroid, j_values, nH, rangeMax, rangeMin."""

    expected = f"a list of structs with {', '.join(schema.H_NMR_NEEDED)}"
    fields = schema.H_NMR_NEEDED

    def accepts(self, column_type: pa.DataType) -> bool:
        fields = _struct_fields(column_type)
        texts = all(is_text(fields.get(name)) for name in ("category", "j_values"))
        return texts and all(
            _is_number(fields.get(name)) for name in ("centroid", "nH", "rangeMax", "rangeMin")
        )

    def load(self, array: pa.Array) -> None:
        self._lists = ListColumn(array)
        multiplets = self._lists.values
        numbers = [float_values(multiplets.field(name)) for name in ("centroid", "rangeMax", "rangeMin", "nH")]
        self._centroid, self._max, self._min, self._hydrogens = (values.tolist() for values in numbers)
        self._category = multiplets.field("category").to_pylist()
        self._couplings = multiplets.field("j_values").to_pylist()

    def spectrum(self, row: int) -> Spectrum | None:
        bounds = self._lists.bounds(row)
        return None if bounds is None else HydrogenNMR(tuple(self._multiplet(i) for i in range(*bounds)))

    def _multiplet(self, index: int) -> Multiplet:
        centroid, highest, lowest = self._centroid[index], self._max[index], self._min[index]
        low_limit, high_limit = H_SHIFT_PPM
        if not (low_limit <= lowest and highest <= high_limit and low_limit <= centroid <= high_limit):
            for name, value in (("centroid", centroid), ("rangeMax", highest), ("rangeMin", lowest)):
                _check_shift(value, H_SHIFT_PPM, name)
        if highest < lowest:
            raise CellError(f"rangeMax {highest:g} is below rangeMin {lowest:g} ppm")
        hydrogens = self._hydrogens[index]
        if not (hydrogens >= 0 and hydrogens.is_integer()):
            raise CellError(f"nH is {hydrogens:g}, expected a count of hydrogens")
        category = self._category[index]
        if category is None or not schema.CATEGORY.fullmatch(category):
            raise CellError(f"multiplicity category {category!r} is unknown (letters: s d t q p h hept m)")
        return Multiplet(
            centroid, highest, lowest, category, int(hydrogens), _parse_couplings(self._couplings[index])
        )


class CarbonColumn(SpectrumColumn):
    """13C lines: the shift; integral, intensity and width are not read."""

    expected = f"a list of structs with {schema.CARBON_SHIFT}"
    fields = (schema.CARBON_SHIFT,)

    def accepts(self, column_type: pa.DataType) -> bool:
        return _is_number(_struct_fields(column_type).get(schema.CARBON_SHIFT))

    def load(self, array: pa.Array) -> None:
        self._lists = ListColumn(array)
        self._shifts = float_values(self._lists.values.field(schema.CARBON_SHIFT)).tolist()

    def spectrum(self, row: int) -> Spectrum | None:
        bounds = self._lists.bounds(row)
        if bounds is None:
            return None
        shifts = tuple(self._shifts[bounds[0] : bounds[1]])
        for shift in shifts:
            _check_shift(shift, C_SHIFT_PPM, schema.CARBON_SHIFT)
        return CarbonNMR(shifts)


class InfraredColumn(SpectrumColumn):
    """IR absorbances on an even grid from 400 to 4000 cm-1, of one length throughout the file."""

    expected = "a list of numbers"

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.length: int | None = None

    def accepts(self, column_type: pa.DataType) -> bool:
        return _is_number(_item_type(column_type))

    def load(self, array: pa.Array) -> None:
        self._lists = ListColumn(array)
        self._values = float_values(self._lists.values)
        lengths = np.diff(self._lists.offsets)[~self._lists.null]
        lengths = lengths[lengths > 1]
        if self.length is None and len(lengths):
            # The most frequent length of the first batch, not the first one: a truncated first row must not
            # make all the others look wrong.
            self.length = int(np.bincount(lengths).argmax())

    def spectrum(self, row: int) -> Spectrum | None:
        bounds = self._lists.bounds(row)
        if bounds is None:
            return None
        length = bounds[1] - bounds[0]
        if length < 2 or length != self.length:
            raise CellError(
                f"{length} points, expected {self.length or 'at least 2'} as in the rest of the file"
            )
        absorbance = self._values[bounds[0] : bounds[1]].astype(np.float64)
        _check_finite(absorbance, "absorbance")
        return Infrared(absorbance)


class TandemColumn(SpectrumColumn):
    """MS/MS of one polarity and energy: pairs of m/z and intensity."""

    expected = "a list of pairs of numbers"

    def __init__(self, column: schema.MSColumn) -> None:
        super().__init__(column.name)
        self._column = column

    def accepts(self, column_type: pa.DataType) -> bool:
        return _is_number(_item_type(_item_type(column_type)))

    def load(self, array: pa.Array) -> None:
        self._lists = ListColumn(array)
        peaks = ListColumn(self._lists.values)
        self._starts, self._widths = peaks.offsets, np.diff(peaks.offsets)
        self._values = float_values(peaks.values)

    def spectrum(self, row: int) -> Spectrum | None:
        bounds = self._lists.bounds(row)
        if bounds is None:
            return None
        widths = self._widths[bounds[0] : bounds[1]]
        if (widths != 2).any():
            place = int(np.argmax(widths != 2))
            raise CellError(f"peak {place} has {widths[place]} values, expected m/z and intensity")
        pairs = self._values[self._starts[bounds[0]] : self._starts[bounds[1]]]
        mz, intensity = pairs[0::2].astype(np.float64), pairs[1::2].astype(np.float64)
        _check_peaks(mz, intensity)
        return TandemMS(mz, intensity, self._column.polarity, float(self._column.energy_ev))


def is_text(kind: pa.DataType | None) -> bool:
    """Whether a column of this type gives strings or nulls."""
    if kind is None:
        return False
    if pa.types.is_dictionary(kind):  # pandas writes categories so
        kind = kind.value_type
    # A column of nothing but nulls has Arrow's null type: a file without any coupling constant.
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_null(kind))


def read_smiles(text: str | None, *, required: bool, canonicalise: bool) -> str | None:
    """The SMILES of a cell.

    Raises:
        CellError: it is missing and required, or invalid.
    """
    if text is None:
        if required:
            raise CellError("the SMILES is missing (null)")
        return None
    try:
        canonical = canonical_smiles(text)
    except ValueError as error:
        raise CellError(str(error)) from error
    return canonical if canonicalise else text


def read_formula(text: str | None, *, required: bool) -> str | None:
    """The molecular formula of a cell.

    Raises:
        CellError: it is missing and required, or no formula.
    """
    if text is None:
        if required:
            raise CellError("the molecular formula is missing (null)")
        return None
    try:
        parse_formula(text)
    except ValueError as error:
        raise CellError(str(error)) from error
    return text


def _parse_couplings(text: str | None) -> tuple[float, ...]:
    """Coupling constants in Hz, written as "1.63_14.08_"."""
    if text is None or text in ("", "None"):
        return ()
    try:
        couplings = tuple([float(part) for part in text.removesuffix("_").split("_")])
    except ValueError:
        raise CellError(f"j_values {text!r} are no numbers parted by _") from None
    if not all(0 <= coupling < math.inf for coupling in couplings):
        raise CellError(f"j_values {text!r} must be finite and not negative")
    return couplings


def _check_shift(ppm: float, limits: tuple[float, float], name: str) -> None:
    if not limits[0] <= ppm <= limits[1]:
        if not math.isfinite(ppm):
            raise CellError(f"{name} is missing, NaN or infinite")
        raise CellError(f"{name} {ppm:g} ppm is outside {limits[0]:g} to {limits[1]:g} ppm")


def _check_finite(values: npt.NDArray[np.float64], name: str) -> None:
    finite = np.isfinite(values)
    if not finite.all():
        raise CellError(f"{name} {int(np.argmin(finite))} is missing, NaN or infinite")


def _check_peaks(mz: npt.NDArray[np.float64], intensity: npt.NDArray[np.float64]) -> None:
    # NaN fails every comparison, so one reduction an axis clears the ordinary spectrum.
    if mz.min() > 0 and intensity.min() >= 0 and 0 < intensity.max() < math.inf and mz.max() < math.inf:
        return
    _check_finite(mz, "m/z of peak")
    _check_finite(intensity, "intensity of peak")
    if not mz.min() > 0:
        raise CellError(f"m/z {mz.min():g} of peak {int(mz.argmin())} must be positive")
    if intensity.min() < 0:
        raise CellError(f"intensity {intensity.min():g} of peak {int(intensity.argmin())} must not be negative")
    raise CellError("all intensities are zero")


def float_values(array: pa.Array) -> npt.NDArray[np.float64]:
    """The values as floats, nulls as NaN."""
    values: npt.NDArray[Any] = array.to_numpy(zero_copy_only=False)
    return values if values.dtype.kind == "f" else values.astype(np.float64)


def _item_type(column_type: pa.DataType | None) -> pa.DataType | None:
    kinds = (pa.types.is_list, pa.types.is_large_list, pa.types.is_fixed_size_list)
    if column_type is None or not any(kind(column_type) for kind in kinds):
        return None
    return column_type.value_type


def _struct_fields(column_type: pa.DataType) -> dict[str, pa.DataType]:
    item = _item_type(column_type)
    return {f.name: f.type for f in item} if item is not None and pa.types.is_struct(item) else {}


def _is_number(kind: pa.DataType | None) -> bool:
    return kind is not None and (pa.types.is_floating(kind) or pa.types.is_integer(kind))
