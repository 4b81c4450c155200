"""The molecular formula as an input: one token an element. It is known besides the spectra, not measured."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from mmspec_ds.molecules.formula import parse_formula
from mmspec_ds.settings import Settings
from mmspec_ds.spectra.columns import Faults, FileColumn, discrete_tokens, is_text
from mmspec_ds.spectra.modalities.definition import ModalityDefinition
from mmspec_ds.spectra.packed import PackedTokens, offsets_of
from mmspec_ds.spectra.records import Modality, Record
from mmspec_ds.spectra.tokens import DiscreteField, TokenSchema

COLUMN = "molecular_formula"

SYMBOLS = (
    *("other", "C", "H", "B", "N", "O", "F", "Si", "P", "S", "Cl", "Se", "Br", "I"),
    *("Li", "Na", "K", "Mg", "Al", "Ge", "As", "Sn", "Te", "+", "-"),
)
"""Values of the element field; "+" and "-" stand for the charge."""

_COUNTS = 256
_USUAL_ELEMENTS = 6  # C, H, N, O, S and a halogen
_IDS = {symbol: index for index, symbol in enumerate(SYMBOLS)}
_PART = re.compile(r"[A-Z][a-z]?|\d+|\S")


@dataclass(frozen=True, slots=True)
class Formulas:
    """The formula of each of N rows as written (or None), and element and count of each token."""

    texts: Sequence[str | None]
    tokens: Sequence[Sequence[tuple[int, int]]]


class FormulaDefinition(ModalityDefinition[Formulas, Settings]):
    """The molecular formula."""

    modality = Modality.FORMULA
    name = "formula"
    label = "formula"
    token_kind = "element"
    stored_in = COLUMN
    file_column = FileColumn(COLUMN, is_text, "text")
    is_instrument = False
    settings = Settings()

    def schema(self, settings: Settings) -> TokenSchema:
        """One token an element: which one, and how many of its atoms."""
        fields = (DiscreteField("element", len(SYMBOLS)), DiscreteField("count", _COUNTS, ordinal=True))
        return TokenSchema(discrete=fields)

    def most_tokens(self, settings: Settings) -> int:
        """There is no limit: the tokens of an ordinary organic molecule."""
        return _USUAL_ELEMENTS

    def compress(self, columns: Formulas, settings: Settings) -> PackedTokens:
        """One token an element, in the order in which they are written, and one for the charge."""
        flat = [number for row in columns.tokens for pair in row for number in pair]
        discrete = np.array(flat, dtype=np.int16).reshape(-1, 2)
        return discrete_tokens(discrete, offsets_of([len(row) for row in columns.tokens]))

    def is_in(self, record: Record) -> bool:
        """Whether a record has it."""
        return record.formula is not None

    def from_records(self, records: Sequence[Record]) -> Formulas:
        """The elements of each record with their counts.

        Raises:
            ValueError: a text is not a formula.
        """
        texts = [record.formula for record in records]
        return Formulas(texts, [() if text is None else _ids(text) for text in texts])

    def decode(self, cells: Mapping[str, pa.Array], learnt: Any) -> tuple[Formulas, list[Faults]]:
        """See `ModalityDefinition`."""
        texts: list[str | None] = cells[COLUMN].to_pylist()
        faults, rows = Faults(COLUMN, len(texts)), []
        reasons: dict[int, str] = {}
        for row, text in enumerate(texts):
            ids: tuple[tuple[int, int], ...] = ()
            try:
                ids = () if text is None else _ids(text)
            except ValueError as error:
                reasons[row] = str(error)
            rows.append(ids)
        faults.rows(np.isin(np.arange(len(texts)), list(reasons)), reasons.__getitem__)
        return Formulas(texts, rows), [faults]

    def arrays(self, records: Sequence[Record]) -> dict[str, pa.Array]:
        """See `ModalityDefinition`."""
        return {COLUMN: pa.array([record.formula for record in records], pa.string())}

    def text(self, record: Record) -> list[str] | None:
        """Elements and counts: C11H15FN2O2 is C 11 H 15 F N 2 O 2."""
        return None if record.formula is None else _PART.findall(record.formula)


def written_formula(tokens: Sequence[Sequence[int]]) -> str | None:
    """The formula whose tokens these are; None if there are none, or one of an element without a symbol."""
    if not len(tokens) or any(SYMBOLS[element] == "other" for element, _ in tokens):
        return None
    return "".join(f"{SYMBOLS[element]}{count}" for element, count in tokens)


def _ids(formula: str) -> tuple[tuple[int, int], ...]:
    """Element and count of each token.

    Raises:
        ValueError: the text is not a formula.
    """
    counts, charge = parse_formula(formula)
    if charge:
        counts["+" if charge > 0 else "-"] = abs(charge)
    other = _IDS["other"]
    return tuple((_IDS.get(symbol, other), min(count, _COUNTS - 1)) for symbol, count in counts.items())
