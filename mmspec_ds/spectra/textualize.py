"""Mass spectra as text, for language models: a form writes what it tells of a spectrum, and reads it back.

Six forms, from most to fewest tokens a spectrum; tokens are those of the language model:

| form | a peak is written as | m/z told to | intensity told |
|---|---|---|---|
| `llm4ms` | `extra_peak@57` | its integer part | order |
| `integers` | `57` | the nearest integer | order |
| `levels` | `<mz_57><d_03>`, and `<i_2>` where a lower level begins | 0.01 | within a factor of sqrt 2 |
| `decimals` | `<mz_57><d_03>` | 0.01 | order |
| `mz_tokens` | `<mz_57>` | the nearest integer | order |
| `summed` | `<i_2><mz_57><d_03>`, parted by blanks | 0.01 | within a factor of sqrt 2 |

All write the strongest peak first. Words in angle brackets are new tokens of the model (`new_tokens`). In
`summed` the tokens between two blanks share one position of the model, which adds up their embeddings. The new
tokens can also tell polarity, adduct, collision energy and precursor.
"""

import math
from dataclasses import dataclass
from itertools import islice
from typing import Literal

import numpy as np
from pydantic import Field

from mmspec_ds.settings import Settings
from mmspec_ds.spectra import peak_tokens, peak_words
from mmspec_ds.spectra.records import ElectronIonisationMS, Record, TandemMS
from mmspec_ds.spectra.told import KIND_OF_POLARITY, Told

Form = Literal["llm4ms", "integers", "levels", "decimals", "mz_tokens", "summed"]
MassSpectrum = TandemMS | ElectronIonisationMS
PLAIN: tuple[Form, ...] = ("llm4ms", "integers")
"""Forms in the model's own words."""
WITH_DECIMALS: tuple[Form, ...] = ("levels", "decimals", "summed")
WITH_LEVELS: tuple[Form, ...] = ("levels", "summed")


class TextSettings(Settings):
    """How mass spectra are written."""

    form: Form = Field(default="summed", description="see `mmspec_ds/spectra/textualize.py`")
    max_peaks: int = Field(default=30, ge=1, description="strongest peaks kept of each spectrum (LLM4MS: 30)")
    min_share: float = Field(
        default=0.005,
        ge=peak_tokens.LOWEST_SHARE,
        le=1,
        description="peaks weaker than this share of the strongest are left out (LLM4MS: 0.005)",
    )
    header: bool = Field(
        default=True, description="tell polarity, adduct and collision energy; not in the forms of plain words"
    )
    precursor: bool = Field(
        default=False, description="tell the precursor's m/z; not in the forms of plain words"
    )
    max_mz: int = Field(
        default=2000, ge=100, le=10_000, description="peaks above it have no token and are left out"
    )


@dataclass(frozen=True, slots=True)
class Peaks:
    """Peaks, the strongest first: m/z, and share of the strongest, both [n]."""

    mz: np.ndarray
    share: np.ndarray


def told(spectrum: MassSpectrum, settings: TextSettings) -> Told:
    """What the text of a spectrum tells: rounded, the strongest peak first.

    A spectrum without a peak of positive intensity has no peaks in its text. Of peaks that round to the same
    m/z the strongest is told, but `llm4ms` tells all (so does its released code).
    """
    peaks = _peaks(spectrum, settings)
    if settings.form == "llm4ms":
        mz = [float(math.floor(value)) for value in peaks.mz[: settings.max_peaks]]
        return Told(mz=tuple(mz), largest_mz=max(map(math.floor, peaks.mz), default=None))
    strongest: dict[float, float] = {}
    for value, share in zip(peaks.mz, peaks.share):
        strongest.setdefault(_rounded(float(value), settings), float(share))
    kept = dict(islice(strongest.items(), settings.max_peaks))
    if settings.form in PLAIN:
        return Told(mz=tuple(kept))
    shares = None
    if settings.form in WITH_LEVELS:
        shares = tuple(peak_tokens.level_share(peak_tokens.level(share)) for share in kept.values())
    return _with_header(spectrum, settings, tuple(kept), shares)


def _peaks(spectrum: MassSpectrum, settings: TextSettings) -> Peaks:
    """The peaks that are strong enough; of equally strong ones that of lower m/z comes first."""
    mz, intensity = np.asarray(spectrum.mz, float), np.asarray(spectrum.intensity, float)
    if settings.form not in PLAIN:  # the others have no token
        known = (mz >= 1) & (mz < settings.max_mz)
        mz, intensity = mz[known], intensity[known]
    highest = float(intensity.max(initial=0.0))
    if highest <= 0:
        return Peaks(np.zeros(0), np.zeros(0))
    share = intensity / highest
    order = np.lexsort((mz, -share))
    order = order[share[order] >= settings.min_share]
    return Peaks(mz[order], share[order])


def write(content: Told, form: Form) -> str:
    """The text of what is told."""
    if form in PLAIN:
        return peak_words.write(content, published=form == "llm4ms")
    return peak_tokens.write(content, decimals=form in WITH_DECIMALS, summed=form == "summed")


def textualize(spectrum: MassSpectrum, settings: TextSettings) -> str:
    """The text of a spectrum."""
    return write(told(spectrum, settings), settings.form)


def parse(text: str, form: Form) -> Told:
    """What a text of this form tells: of `textualize(spectrum, settings)` it is `told(spectrum, settings)`.

    Raises:
        DataError: it is not a text of this form; names the word.
    """
    if form in PLAIN:
        return peak_words.parse(text, published=form == "llm4ms")
    return peak_tokens.parse(text, decimals=form in WITH_DECIMALS, levels=form in WITH_LEVELS)


def new_tokens(settings: TextSettings) -> tuple[str, ...]:
    """The tokens that a language model must learn for this form, each once, in a fixed order; none for the
    forms of plain words."""
    if settings.form in PLAIN:
        return ()
    return peak_tokens.vocabulary(
        settings.max_mz,
        decimals=settings.form in WITH_DECIMALS,
        levels=settings.form in WITH_LEVELS,
        header=settings.header,
        precursor=settings.precursor,
    )


def positions(text: str, form: Form) -> list[tuple[str, ...]]:
    """The new tokens of each position of the model, for the forms of new tokens: one each, but in `summed`
    those that share the position."""
    if form == "summed":
        return [peak_tokens.tokens_of(word) for word in text.split()]
    return [(token,) for token in peak_tokens.tokens_of(text)]


def text_of_record(record: Record, settings: TextSettings) -> str:
    """The texts of all mass spectra of a record, one after another; empty where it has none with a peak."""
    contents = [told(one, settings) for one in record.spectra if isinstance(one, MassSpectrum)]
    between = " " if settings.form in PLAIN or settings.form == "summed" else ""
    return between.join(write(content, settings.form) for content in contents if content.mz)


def _rounded(mz: float, settings: TextSettings) -> float:
    if settings.form in WITH_DECIMALS:
        return peak_tokens.hundredths(mz) / 100
    return float(math.floor(mz + 0.5))


def _with_header(
    spectrum: MassSpectrum, settings: TextSettings, mz: tuple[float, ...], shares: tuple[float, ...] | None
) -> Told:
    if isinstance(spectrum, ElectronIonisationMS):
        electrons = peak_tokens.energy_told(spectrum.energy_ev)
        return Told(mz, shares, None, "ei", None, electrons) if settings.header else Told(mz, shares)
    kind = adduct = energy = precursor = None
    if settings.header:
        kind = KIND_OF_POLARITY[spectrum.polarity]
        adduct = peak_tokens.known_adduct(spectrum.adduct)
        measured = spectrum.measured_energy_ev
        energy = peak_tokens.energy_told(measured if measured is not None else spectrum.collision_energy_ev)
    if settings.precursor and spectrum.precursor_mz is not None:
        precursor = _rounded(spectrum.precursor_mz, settings)
        precursor = precursor if 1 <= precursor < settings.max_mz else None
    return Told(mz, shares, None, kind, adduct, energy, precursor)
