"""All modalities, by name. A new one is a file in `modalities`, a number in `records.Modality` and a line."""

import difflib
from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from pydantic import create_model

from mmspec_ds.errors import ConfigError
from mmspec_ds.settings import Settings
from mmspec_ds.spectra.modalities.c_nmr import CarbonNMRDefinition
from mmspec_ds.spectra.modalities.definition import ModalityDefinition
from mmspec_ds.spectra.modalities.ei import ElectronIonisationDefinition
from mmspec_ds.spectra.modalities.formula import FormulaDefinition
from mmspec_ds.spectra.modalities.h_nmr import HydrogenNMRDefinition
from mmspec_ds.spectra.modalities.hsqc import HSQCDefinition
from mmspec_ds.spectra.modalities.ir import InfraredDefinition
from mmspec_ds.spectra.modalities.ms import TandemMSDefinition
from mmspec_ds.spectra.packed import PackedTokens
from mmspec_ds.spectra.records import Modality, Record
from mmspec_ds.spectra.tokens import TokenSchema

_DEFINITIONS: tuple[ModalityDefinition[Any, Any], ...] = (
    HydrogenNMRDefinition(),
    CarbonNMRDefinition(),
    InfraredDefinition(),
    TandemMSDefinition(),
    FormulaDefinition(),
    HSQCDefinition(),
    ElectronIonisationDefinition(),
)

_REGISTERED = {one.modality: one for one in _DEFINITIONS}
REGISTRY: Mapping[Modality, ModalityDefinition[Any, Any]] = MappingProxyType(_REGISTERED)
"""Every modality, in the order of `Modality`."""

PAPER_MODALITIES = (Modality.H_NMR, Modality.C_NMR, Modality.IR, Modality.MS)
"""The four instruments of the paper: what is read unless something else is asked for."""

_BLOCKS: dict[str, Any] = {
    one.name: (type(one.settings), one.settings) for one in _DEFINITIONS if type(one.settings) is not Settings
}
_Composed: Any = create_model("_Composed", __base__=Settings, **_BLOCKS)


class CompressionSettings(_Composed):
    """The operators phi_m (paper eq. 2): a block for each modality, under its name."""

    if TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any: ...


def block_of(definition: ModalityDefinition[Any, Any], settings: CompressionSettings) -> Any:
    """The block of one modality."""
    return getattr(settings, definition.name, definition.settings)


def schema_of(modality: Modality, settings: CompressionSettings) -> TokenSchema:
    """The fields of a modality's tokens."""
    return REGISTRY[modality].schema(block_of(REGISTRY[modality], settings))


def modality_by_name(name: str) -> Modality:
    """The modality that run files call `name`.

    Raises:
        ConfigError: there is no such modality; the message names the nearest one, and all.
    """
    by_name = {entry.name: entry.modality for entry in REGISTRY.values()}
    if name in by_name:
        return by_name[name]
    near = difflib.get_close_matches(name.lower(), by_name, n=1)
    hint = f", did you mean {near[0]}?" if near else ""
    raise ConfigError(f"unknown modality {name!r}{hint} (known: {', '.join(by_name)})")


def compress_columns(
    columns: Mapping[Modality, Any], settings: CompressionSettings
) -> dict[Modality, PackedTokens]:
    """The tokens of N rows by modality, from the columns of each."""
    found = ((modality, REGISTRY[modality]) for modality in columns)
    return {m: entry.compress(columns[m], block_of(entry, settings)) for m, entry in found}


def compress_records(
    records: Sequence[Record], modalities: Iterable[Modality], settings: CompressionSettings
) -> dict[Modality, PackedTokens]:
    """The tokens of N records by modality (paper eq. 2)."""
    return compress_columns({m: REGISTRY[m].from_records(records) for m in modalities}, settings)


def compress_record(
    record: Record, modalities: Iterable[Modality], settings: CompressionSettings
) -> dict[Modality, PackedTokens]:
    """The tokens of one record, by modality; modalities that it lacks are left out."""
    wanted = [m for m in modalities if REGISTRY[m].is_in(record)]
    found = compress_records([record], wanted, settings)
    return {modality: tokens for modality, tokens in found.items() if len(tokens)}


def text_tokens(record: Record) -> dict[Modality, list[str]]:
    """The benchmark's text of a record by modality, which joins the tokens by blanks in the order formula, 1H,
    13C, IR, MS/MS; what the record lacks is left out.

    Raises:
        DataError: an MS/MS spectrum has a collision energy for which the text has no name.
    """
    found = {m: entry.text(record) for m, entry in REGISTRY.items() if entry.has_text}
    return {modality: words for modality, words in found.items() if words is not None}
