"""Signals with their errors: what the colours, the notes, the text, the page and the picture say of them."""

import io
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image

from mmspec_ds.figures.heat_maps import Map
from mmspec_ds.molecules.depiction import Style, atom_labels, structure_svg
from mmspec_ds.reporting.explanation import (
    COLOURS,
    ExplainedCandidate,
    Explanation,
    coloured,
    explain_answer,
    explanation_json,
    grade,
    summary,
)
from mmspec_ds.reporting.explanation_figure import _draw_labels, figure_png, spread
from mmspec_ds.reporting.explanation_page import explanation_html, save_page
from mmspec_ds.reporting.explanation_text import explanation_lines
from mmspec_ds.spectra.records import CarbonNMR, HydrogenNMR, Multiplet, Record, TandemMS
from mmspec_ds.systems.elucidation.attribution import Contributions
from mmspec_ds.verification.assignment import SignalMatch
from mmspec_ds.verification.error_models import ErrorModels
from mmspec_ds.verification.fragment_peaks import PeakMatch

MATCHES = (
    SignalMatch("h_nmr", 4.12, 4.0, (1,), 0.2),  # 0.6 of the expected error
    SignalMatch("h_nmr", None, 2.1, (4,), 0.2),
    SignalMatch("c_nmr", 171.36, 168.0, (3,), 2.0),  # 1.7
    SignalMatch("c_nmr", 99.0, None, (), 0.0),
    SignalMatch("c_nmr", 60.49, 50.0, (1,), 2.0),  # 5.2
    SignalMatch("c_nmr", 21.04, 21.0, (4, 0), 2.0),
)
PEAKS = (PeakMatch(43.0178, 100.0, "C2H3O+", (3, 4, 5), 1, -0.3), PeakMatch(50.1, 25.0))
CANDIDATES = (
    ExplainedCandidate("CCOC(C)=O", 0.8, None, {"c_nmr": -3.25}, MATCHES, {"MS/MS positive 20 eV": PEAKS}),
    ExplainedCandidate("COC(=O)CC", 0.1, 0.05, {}, ()),
)
EXPLANATION = Explanation(
    "a <b> $x$",
    {"formula": "C4H8O2"},
    CANDIDATES,
    ("assumed",),
    Contributions(-30.0, {"h_nmr": 20.0, "c_nmr": -1.5}, -11.5),
    Map("Share of tokens by expert", np.array([[0.25, 0.75]]), ["1H NMR"], ["0 shared\n16", "1 shared\n16"]),
)
ETHYL_ACETATE = Record(
    "r",
    (
        HydrogenNMR(
            (
                Multiplet(4.12, 4.15, 4.09, "q", 2, (7.1,)),
                Multiplet(2.05, 2.06, 2.04, "s", 3),
                Multiplet(1.26, 1.29, 1.23, "t", 3, (7.1,)),
            )
        ),
        CarbonNMR((171.36, 60.49, 21.04, 14.19)),
    ),
    None,
    "C4H8O2",
)


def test_grades() -> None:
    assert [grade(one) for one in MATCHES] == [0, 3, 1, None, 2, 0]
    assert summary(CANDIDATES[1]) == "confidence 5%"
    assert summary(CANDIDATES[0]) == "p = 0.8,  1H NMR 1/2,  13C NMR 2/4"


def test_colours_and_notes_of_atoms() -> None:
    style = coloured(MATCHES, "c_nmr", 30.0)
    assert style.colours == {3: COLOURS[1], 1: COLOURS[2], 4: COLOURS[0], 0: COLOURS[0]}
    assert style.notes == {3: "171.4", 1: "60.5", 4: "21.0", 0: "21.0"}
    shared = (SignalMatch("h_nmr", 1.5, 1.5, (0,), 0.1), SignalMatch("h_nmr", 1.2, 2.5, (0,), 0.1))
    assert coloured(shared, "h_nmr", 30.0) == Style(30.0, {0: COLOURS[2]}, {0: "1.50, 1.20"})
    svg = structure_svg("CCOC(C)=O", 300, 200, style)
    assert svg is not None
    assert svg.lower().count("fill:#{:02x}{:02x}{:02x}".format(*COLOURS[0])) == 2  # two discs
    assert "note" in svg
    assert atom_labels("CCOC(C)=O") == ["C1", "C2", "O3", "C4", "C5", "O6"]


def test_signals_of_a_real_spectrum() -> None:
    answer = {
        "id": "r",
        "candidates": [
            {"smiles": "CCOC(C)=O", "probability": 0.5},
            {"smiles": "CCCC(=O)O", "probability": 0.25},
        ],
        "read": ["h_nmr", "c_nmr"],
        "unused": ["formula"],
        "remarks": [],
    }
    right, wrong = explain_answer(answer, ETHYL_ACETATE, 3, ErrorModels()).candidates
    placed = {one.observed_ppm: one.atoms for one in right.matches}
    assert placed == {4.12: (1,), 2.05: (4,), 1.26: (0,), 171.36: (3,), 60.49: (1,), 21.04: (4,), 14.19: (0,)}
    assert all(grade(one) in (0, 1) for one in right.matches)
    assert any(grade(one) not in (0, 1) for one in wrong.matches)
    assert len(explain_answer(answer, ETHYL_ACETATE, 1, ErrorModels()).candidates) == 1
    salt = answer | {"candidates": [{"smiles": "CC(=O)[O-].[Na+]", "probability": 0.5}]}
    (one,) = explain_answer(salt, ETHYL_ACETATE, 1, ErrorModels()).candidates
    assert (one.smiles, one.matches, one.fragments) == ("CC(=O)[O-].[Na+]", (), {})


def test_every_tandem_spectrum_is_explained_under_its_own_energy() -> None:
    answer = {"id": "r", "candidates": [{"smiles": "CCO", "probability": 1.0}], "read": [], "unused": []}
    spectra = tuple(
        TandemMS(np.array([mz]), np.array([1.0]), "positive", 20.0, measured_energy_ev=energy)
        for mz, energy in ((29.0386, 17.0), (31.0178, 17.0), (47.0491, 22.25), (33.3, None))
    )
    explained = explain_answer(answer | {"remarks": []}, Record("r", spectra), 1, ErrorModels())
    assert {label: peaks[0].ion for label, peaks in explained.candidates[0].fragments.items()} == {
        "MS/MS positive 17 eV": "C2H5+",
        "MS/MS positive 17 eV (2)": "CH3O+",
        "MS/MS positive 22.2 eV": "C2H7O+",
        "MS/MS positive 20 eV": None,
    }


def test_text() -> None:
    lines = list(explanation_lines(EXPLANATION))
    assert lines[0] == "a <b> $x$   formula: C4H8O2"
    assert lines[1] == "   1  CCOC(C)=O   p = 0.8,  1H NMR 1/2,  13C NMR 2/4"
    assert "       4.12      4.00   +0.12   C2               error as expected" in lines
    assert "                 2.10           C5               not observed" in lines
    assert "       99.0                                      not explained" in lines
    assert "  1H NMR       +20.00" in lines
    assert "  1H NMR       0.25   0.75" in lines
    assert "CCOC(C)=O   MS/MS positive 20 eV: 80% of the intensity explained" in lines
    assert "    43.0178 100.0   -0.3   C2H3O+         1" in lines
    assert "    50.1000  25.0          not explained" in lines
    assert "remark: assumed" in lines


class Balance(HTMLParser):
    """Counts elements; each must be closed by its own end."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.texts = ""

    def handle_starttag(self, tag: str, attrs: object) -> None:
        if tag not in ("meta", "br"):
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: object) -> None:
        """An element that holds nothing."""

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts += data


def test_page(tmp_path: Path) -> None:
    save_page(EXPLANATION, tmp_path / "why.html")
    page, reader = (tmp_path / "why.html").read_text(encoding="utf-8"), Balance()
    reader.feed(page)
    assert reader.open == []
    for text in (
        "a <b> $x$",
        "not explained",
        "+20.00",
        "-1.50",
        "0 shared 16",
        "0.75",
        "C4 C5 O6",
        "13C NMR -3.2 nats",
    ):
        assert text in reader.texts
    piece = explanation_html(EXPLANATION)
    assert piece.startswith('<div class="mmspec">')
    assert all(
        line.startswith((".mmspec", "@"))
        for line in piece[piece.index("<style>") + 7 :].split("</style>")[0].splitlines()
    )


def test_picture() -> None:
    with Image.open(io.BytesIO(figure_png(EXPLANATION))) as image:
        assert image.width == 1430
        many = image.height
    with Image.open(io.BytesIO(figure_png(Explanation("r", {}, ())))) as image:
        assert image.height < many


def test_atoms_of_one_predicted_shift_have_a_label_each() -> None:
    axes = Figure().add_subplot()
    axes.set_xlim(200, 0)
    _draw_labels(axes, {(129.0, "C2"), (129.0, "C3"), (20.0, "C1"), (None, "C9")}, -1)
    assert [text.get_text() for text in axes.texts] == ["C1", "C2", "C3"]
    first, second, third = (text.get_position()[0] for text in axes.texts)
    assert (first, second + third) == pytest.approx((20.0, 258.0))
    assert third > second


@pytest.mark.parametrize("seed", range(5))
def test_labels_are_moved_apart_as_little_as_possible(seed: int) -> None:
    draw = np.random.default_rng(seed)
    places = np.sort(draw.uniform(0, 10, 12))
    found = np.array(spread(places.tolist(), 1.0))
    assert np.diff(found).min() >= 1.0 - 1e-9
    cost = ((found - places) ** 2).sum()
    for _ in range(300):  # no other allowed choice is nearer
        other = np.sort(found + draw.normal(0, 0.5, 12))
        other = np.maximum.accumulate(other - np.arange(12)) + np.arange(12)
        assert ((other - places) ** 2).sum() >= cost - 1e-9
    assert spread([1.0, 4.0, 9.0], 1.0) == [1.0, 4.0, 9.0]
    assert spread([5.0, 5.0], 1.0) == [4.5, 5.5]


def test_json() -> None:
    told = explanation_json(EXPLANATION)
    assert told["routing"] == {
        "rows": ["1H NMR"],
        "columns": ["0 shared\n16", "1 shared\n16"],
        "values": [[0.25, 0.75]],
    }
    assert told["candidates"][0]["matches"][3] == {
        "modality": "c_nmr", "observed_ppm": 99.0, "predicted_ppm": None, "atoms": (), "spread_ppm": 0.0,
    }  # fmt: skip
