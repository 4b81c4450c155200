"""All modalities, by name. A new one is an entry here; models, data and commands look them up."""

import difflib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

from mmspec_ds.errors import ConfigError
from mmspec_ds.spectra import compression
from mmspec_ds.spectra.compression_settings import CompressionSettings
from mmspec_ds.spectra.records import HSQC, CarbonNMR, HydrogenNMR, Infrared, Modality, Record, TandemMS
from mmspec_ds.spectra.tokens import Tokens, TokenSchema

TokenKind = Literal["multiplet", "line", "window", "peak", "element", "cross peak"]


@dataclass(frozen=True, slots=True)
class ModalityEntry:
    """What the rest of the house knows of a modality.

    Attributes:
        name: as written in run files and on the command line.
        label: as written in tables and plots.
        unit: of the axis of its spectra; empty where there is none.
        token_kind: what one token stands for.
        schema: the fields of its tokens under given settings.
        compress: all tokens of a record; None where the record lacks the modality.
    """

    modality: Modality
    name: str
    label: str
    unit: str
    token_kind: TokenKind
    schema: Callable[[CompressionSettings], TokenSchema]
    compress: Callable[[Record, CompressionSettings], Tokens | None]


def _compress_h_nmr(record: Record, settings: CompressionSettings) -> Tokens | None:
    multiplets = [m for s in record.spectra if isinstance(s, HydrogenNMR) for m in s.multiplets]
    return compression.compress_h_nmr(HydrogenNMR(tuple(multiplets)), settings.h_nmr) if multiplets else None


def _compress_c_nmr(record: Record, settings: CompressionSettings) -> Tokens | None:
    shifts = [ppm for s in record.spectra if isinstance(s, CarbonNMR) for ppm in s.shifts_ppm]
    return compression.compress_c_nmr(CarbonNMR(tuple(shifts)), settings.c_nmr) if shifts else None


def _compress_ir(record: Record, settings: CompressionSettings) -> Tokens | None:
    # The place of a window is its wavenumber, so a second IR spectrum has no place to go: the first counts.
    first = next((s for s in record.spectra if isinstance(s, Infrared)), None)
    return compression.compress_ir(first, settings.ir) if first is not None else None


def _compress_ms(record: Record, settings: CompressionSettings) -> Tokens | None:
    spectra = [s for s in record.spectra if isinstance(s, TandemMS)]
    if not spectra:
        return None
    share = max(1, settings.ms.max_tokens // len(spectra))
    peaks = min(settings.ms.max_peaks, share)
    parts = [compression.compress_ms(s, peaks) for s in spectra[: settings.ms.max_tokens]]
    return compression.concatenate_tokens(parts)


def _compress_formula(record: Record, settings: CompressionSettings) -> Tokens | None:
    return compression.compress_formula(record.formula) if record.formula is not None else None


def _compress_hsqc(record: Record, settings: CompressionSettings) -> Tokens | None:
    peaks = [peak for s in record.spectra if isinstance(s, HSQC) for peak in s.peaks]
    return compression.compress_hsqc(HSQC(tuple(peaks)), settings.hsqc) if peaks else None


_ENTRIES = (
    ModalityEntry(
        Modality.H_NMR,
        name="h_nmr",
        label="1H NMR",
        unit="ppm",
        token_kind="multiplet",
        schema=lambda settings: compression.h_nmr_schema(settings.h_nmr),
        compress=_compress_h_nmr,
    ),
    ModalityEntry(
        Modality.C_NMR,
        name="c_nmr",
        label="13C NMR",
        unit="ppm",
        token_kind="line",
        schema=lambda settings: compression.c_nmr_schema(settings.c_nmr),
        compress=_compress_c_nmr,
    ),
    ModalityEntry(
        Modality.IR,
        name="ir",
        label="IR",
        unit="cm-1",
        token_kind="window",
        schema=lambda settings: compression.ir_schema(settings.ir),
        compress=_compress_ir,
    ),
    ModalityEntry(
        Modality.MS,
        name="ms",
        label="MS/MS",
        unit="m/z",
        token_kind="peak",
        schema=lambda settings: compression.ms_schema(settings.ms),
        compress=_compress_ms,
    ),
    ModalityEntry(
        Modality.FORMULA,
        name="formula",
        label="formula",
        unit="",
        token_kind="element",
        schema=lambda settings: compression.formula_schema(),
        compress=_compress_formula,
    ),
    ModalityEntry(
        Modality.HSQC,
        name="hsqc",
        label="HSQC",
        unit="ppm",
        token_kind="cross peak",
        schema=lambda settings: compression.hsqc_schema(settings.hsqc),
        compress=_compress_hsqc,
    ),
)

REGISTRY: Mapping[Modality, ModalityEntry] = MappingProxyType({entry.modality: entry for entry in _ENTRIES})
"""Every modality, in the order of `Modality`."""


def modality_by_name(name: str) -> Modality:
    """The modality that run files call `name`.

    Raises:
        ConfigError: there is none; the message names the nearest one and all.
    """
    by_name = {entry.name: entry.modality for entry in REGISTRY.values()}
    if name in by_name:
        return by_name[name]
    near = difflib.get_close_matches(name.lower(), by_name, n=1)
    hint = f", did you mean {near[0]}?" if near else ""
    raise ConfigError(f"unknown modality {name!r}{hint} (known: {', '.join(by_name)})")


def compress_record(
    record: Record, modalities: Iterable[Modality], settings: CompressionSettings
) -> dict[Modality, Tokens]:
    """The tokens of a record, by modality (paper eq. 2); modalities of which it has nothing are left out."""
    compressed: dict[Modality, Tokens] = {}
    for modality in modalities:
        tokens = REGISTRY[modality].compress(record, settings)
        if tokens:
            compressed[modality] = tokens
    return compressed
