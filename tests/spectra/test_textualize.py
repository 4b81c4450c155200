"""Spectra as text: the published form word by word, and every form read back as far as it tells."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mmspec_ds.errors import DataError
from mmspec_ds.spectra.modalities.ms import ADDUCTS
from mmspec_ds.spectra.records import ElectronIonisationMS, Record, TandemMS
from mmspec_ds.spectra.textualize import (
    PLAIN,
    WITH_DECIMALS,
    Form,
    TextSettings,
    new_tokens,
    parse,
    positions,
    text_of_record,
    textualize,
    told,
)

FORMS: tuple[Form, ...] = ("llm4ms", "integers", "levels", "decimals", "mz_tokens", "summed")
SPECTRUM = TandemMS(
    mz=np.array([43.0178, 57.0335, 71.049, 85.0284, 99.04, 127.0754, 181.07]),
    intensity=np.array([400.0, 1000.0, 30.0, 260.0, 4.9, 240.0, 5.0]),
    polarity="negative",
    adduct="[M-H]-",
    precursor_mz=181.0718,
    measured_energy_ev=33.0,
)


def test_the_published_form_by_hand() -> None:
    # 99.04 has less than 0.5 % of the strongest; the largest m/z stands last.
    expected = "base_peak@57,max_peak@43,max_peak@85,extra_peak@127,extra_peak@71,extra_peak@181,max_peak@181"
    assert textualize(SPECTRUM, TextSettings(form="llm4ms")) == expected
    few = textualize(SPECTRUM, TextSettings(form="llm4ms", max_peaks=2))
    assert few == "base_peak@57,max_peak@43,max_peak@181"
    assert textualize(SPECTRUM, TextSettings(form="llm4ms", max_peaks=1)) == "base_peak@57,max_peak@181"


@pytest.mark.parametrize(
    ("form", "expected"),
    [
        ("integers", "57 43 85 127 71 181"),
        (
            "mz_tokens",
            "<negative><[M-H]-><ev_35><precursor><mz_181><mz_57><mz_43><mz_85><mz_127><mz_71><mz_181>",
        ),
        (
            "levels",
            "<negative><[M-H]-><ev_35><precursor><mz_181><d_07><mz_57><d_03><i_1><mz_43><d_02><mz_85><d_03>"
            "<i_2><mz_127><d_08><i_5><mz_71><d_05><i_7><mz_181><d_07>",
        ),
        (
            "summed",
            "<negative><[M-H]-><ev_35> <precursor><mz_181><d_07> <i_0><mz_57><d_03> <i_1><mz_43><d_02>"
            " <i_1><mz_85><d_03> <i_2><mz_127><d_08> <i_5><mz_71><d_05> <i_7><mz_181><d_07>",
        ),
    ],
)
def test_the_other_forms_by_hand(form: Form, expected: str) -> None:
    assert textualize(SPECTRUM, TextSettings(form=form, precursor=True)) == expected


def test_peaks_of_one_integer_are_told_once() -> None:
    spectrum = TandemMS(np.array([67.0416, 67.0542, 80.05]), np.array([0.5, 1.0, 0.2]))
    assert textualize(spectrum, TextSettings(form="integers")) == "67 80"
    assert (
        textualize(spectrum, TextSettings(form="llm4ms")) == "base_peak@67,max_peak@67,max_peak@80,max_peak@80"
    )
    assert told(spectrum, TextSettings(form="decimals")).mz == (67.05, 67.04, 80.05)
    assert told(spectrum, TextSettings(form="integers", max_peaks=2)).mz == (67, 80)


def test_electron_ionisation() -> None:
    spectrum = ElectronIonisationMS(np.array([41.0, 43.0, 58.0]), np.array([300.0, 999.0, 200.0]), 70.0)
    assert textualize(spectrum, TextSettings(form="mz_tokens")) == "<ei><ev_70><mz_43><mz_41><mz_58>"
    assert textualize(spectrum, TextSettings(form="mz_tokens", header=False)) == "<mz_43><mz_41><mz_58>"
    unstated = ElectronIonisationMS(spectrum.mz, spectrum.intensity)
    for form in FORMS:
        chosen = TextSettings(form=form, precursor=True)
        assert parse(textualize(unstated, chosen), form) == told(unstated, chosen)
    assert (
        text_of_record(Record("a", (unstated, SPECTRUM)), TextSettings(form="integers", max_peaks=1)) == "43 57"
    )


spectra = st.builds(
    lambda peaks, polarity, energy, precursor, adduct: TandemMS(
        np.array([mz for mz, _ in peaks]),
        np.array([intensity for _, intensity in peaks]),
        polarity,
        energy,
        precursor,
        adduct,
    ),
    st.lists(st.tuples(st.floats(1.0, 1990.0), st.floats(0.0, 1e6)), max_size=40),
    st.sampled_from(("positive", "negative")),
    st.none() | st.floats(0, 300),
    st.none() | st.floats(1.0, 1990.0),
    st.none() | st.sampled_from((*ADDUCTS, "[M+Li]+")),
)


@pytest.mark.parametrize("form", FORMS)
@settings(max_examples=40, deadline=None, derandomize=True)
@given(spectrum=spectra, precursor=st.booleans())
def test_a_text_is_read_back(form: Form, spectrum: TandemMS, precursor: bool) -> None:
    chosen = TextSettings(form=form, precursor=precursor)
    assert parse(textualize(spectrum, chosen), form) == told(spectrum, chosen)


@pytest.mark.parametrize("form", FORMS)
@settings(max_examples=40, deadline=None, derandomize=True)
@given(spectrum=spectra)
def test_what_is_told_is_within_the_stated_precision(form: Form, spectrum: TandemMS) -> None:
    chosen = TextSettings(form=form, precursor=True, max_peaks=100)
    content = told(spectrum, chosen)
    highest = spectrum.intensity.max(initial=0)
    strong = spectrum.intensity >= 0.005 * highest if highest > 0 else np.zeros(len(spectrum.mz), bool)
    mz, share = (
        spectrum.mz[strong],
        spectrum.intensity[strong] / highest if highest > 0 else spectrum.mz[strong],
    )
    bound = 0.005 if form in WITH_DECIMALS else 0.5 if form != "llm4ms" else 1.0
    for value in mz:  # every peak is there
        assert min(abs(value - one) for one in content.mz) <= bound + 1e-9
    for place, value in enumerate(content.mz):  # and nothing else, with the strongest of its intensities
        near = np.abs(mz - value) <= bound + 1e-9
        assert near.any()
        if content.shares is not None:
            ratios = share[near] / content.shares[place]
            assert ((ratios <= math.sqrt(2) + 1e-9) & (ratios >= math.sqrt(0.5) - 1e-9)).any()
    if form not in PLAIN and spectrum.precursor_mz is not None:
        assert content.precursor_mz is not None
        assert abs(content.precursor_mz - spectrum.precursor_mz) <= bound + 1e-9
    if form not in PLAIN and spectrum.collision_energy_ev is not None:
        assert content.energy_ev is not None
        assert abs(content.energy_ev - min(spectrum.collision_energy_ev, 200)) <= 2.5


@pytest.mark.parametrize("form", ["levels", "decimals", "mz_tokens", "summed"])
@settings(max_examples=30, deadline=None, derandomize=True)
@given(spectrum=spectra)
def test_new_tokens_are_all_that_is_needed(form: Form, spectrum: TandemMS) -> None:
    chosen = TextSettings(form=form, precursor=True)
    tokens = new_tokens(chosen)
    assert len(set(tokens)) == len(tokens)
    places = positions(textualize(spectrum, chosen), form)
    assert {token for place in places for token in place} <= set(tokens)
    if form == "summed":  # header, precursor, and a position a peak
        assert len(places) == 1 + (spectrum.precursor_mz is not None) + len(told(spectrum, chosen).mz)


def test_peaks_without_a_token_are_left_out() -> None:
    spectrum = TandemMS(np.array([0.5, 57.03, 2500.0]), np.array([1.0, 0.1, 10.0]))
    assert told(spectrum, TextSettings(form="summed")).mz == (57.03,)
    assert told(spectrum, TextSettings(form="summed")).shares == (2**-0.5,)  # of the strongest that is told
    assert told(spectrum, TextSettings(form="integers")).mz == (2500, 1, 57)


def test_a_record_of_two_spectra() -> None:
    empty = TandemMS(np.zeros(0), np.zeros(0))
    record = Record("a", (SPECTRUM, empty, TandemMS(np.array([50.0]), np.array([1.0]))))
    chosen = TextSettings(form="mz_tokens", max_peaks=1)
    assert text_of_record(record, chosen) == "<negative><[M-H]-><ev_35><mz_57><positive><mz_50>"
    assert text_of_record(record, TextSettings(form="integers", max_peaks=2)) == "57 43 50"
    assert text_of_record(Record("b"), chosen) == ""


@pytest.mark.parametrize(
    ("text", "form", "named"),
    [
        ("57 x", "integers", "'x'"),
        ("base_peak@57", "llm4ms", "max_peak"),
        ("base_peak@57,peak@3", "llm4ms", "'peak@3'"),
        ("<mz_57><d_03> 12", "decimals", "'12'"),
        ("<mz_57>", "decimals", "the end"),
        ("<mz_57><ev_30>", "mz_tokens", "<ev_30>"),
    ],
)
def test_another_text_is_refused(text: str, form: Form, named: str) -> None:
    with pytest.raises(DataError, match=named):
        parse(text, form)
