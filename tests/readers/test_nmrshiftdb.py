"""SD files as nmrshiftdb2 writes them."""

from pathlib import Path

import pytest

from mmspec_ds.readers import part as keys
from mmspec_ds.readers.format_registry import find_format, read_file
from mmspec_ds.readers.part import Part, Rejected
from mmspec_ds.spectra.records import CarbonNMR, HydrogenNMR, Modality

METHYL_ACETATE = """methyl acetate
  made

  5  4  0  0  0  0  0  0  0  0999 V2000
    0.0000    0.0000    0.0000 C   0  0
    1.5000    0.0000    0.0000 C   0  0
    2.1000    1.1000    0.0000 O   0  0
    2.1000   -1.2000    0.0000 O   0  0
    3.5000   -1.2000    0.0000 C   0  0
  1  2  1  0
  2  3  2  0
  2  4  1  0
  4  5  1  0
M  END
"""
CARBON = "> <Spectrum 13C 0>\n20.6;0.0Q;0|51.5;0.0Q;4|171.4;0.0S;1|\n\n"
HYDROGEN = "> <Spectrum 1H 0>\n" + "3.67;0.0s;4|" * 3 + "2.06;0.0s;0|" * 3 + "\n\n"


def items(folder: Path, *tags: str, name: str = "a.sd", modality: Modality | None = None) -> list[object]:
    path = folder / name
    path.write_text("".join(f"{METHYL_ACETATE}{one}$$$$\n" for one in tags))
    return list(read_file(path, modality))


def test_carbon_and_hydrogen_of_a_record(tmp_path: Path) -> None:
    (part,) = items(tmp_path, HYDROGEN + CARBON + "> <Solvent>\n0:CDCl3\n\n")
    assert isinstance(part, Part)
    hydrogen, carbon = part.spectra
    assert isinstance(hydrogen, HydrogenNMR)
    assert [(m.centroid_ppm, m.category, m.hydrogens) for m in hydrogen.multiplets] == [
        (3.67, "s", 3),
        (2.06, "s", 3),
    ]
    assert carbon == CarbonNMR((171.4, 51.5, 20.6), (0, 3, 3))
    assert (part.smiles, part.formula) == ("COC(C)=O", "C3H6O2")
    assert part.metadata[keys.SOLVENT] == "CDCl3"
    assert find_format(tmp_path / "a.sd").name == "nmrshiftdb"


@pytest.mark.parametrize(
    ("entries", "attached"),
    [
        ("20.6;0.0Q;0|51.5;0.0Q;4|171.4;0.0S;1|", (0, 3, 3)),
        ("20.6;0.0q;0|51.5;0.0q;4|171.4;0.0s;1", (0, 3, 3)),
        ("20.6;Q;0|51.5;Q;4|171.4;S;1|", (0, 3, 3)),
        ("20,6;0,0Q;0|51,5;0,0Q;4|171,4;0,0S;1|", (0, 3, 3)),
        ("20.6;0.0;0|51.5;0.0;4|171.4;0.0;1|", ()),
        ("20.6;0.0S;0|51.5;0.0S;4|171.4;0.0S;1|", ()),
        ("20.6;0.0Q;0|\n51.5;0.0Q;4|\n171.4;0.0S;1|", (0, 3, 3)),
        (" 20.6 ; 0.0Q ; 0 | 51.5;0.0Q|171.4;0.0S;1|", (0, 3, 3)),
    ],
)
def test_spellings_of_entries(entries: str, attached: tuple[int, ...], tmp_path: Path) -> None:
    (part,) = items(tmp_path, f"> <Spectrum 13C 0>\n{entries}\n\n")
    assert isinstance(part, Part), part
    assert part.spectra == (CarbonNMR((171.4, 51.5, 20.6), attached),)


def test_a_coupling_stands_before_the_multiplicity(tmp_path: Path) -> None:
    tag = "> <Spectrum 1H 0>\n" + "4.26;7.2q;3|" * 2 + "1.35;7.2t;4|" * 3 + "\n\n"
    (part,) = items(tmp_path, tag)
    assert isinstance(part, Part)
    assert isinstance(part.spectra[0], HydrogenNMR)
    found = [(m.category, m.hydrogens, m.j_hz) for m in part.spectra[0].multiplets]
    assert found == [("q", 2, (7.2,)), ("t", 3, (7.2,))]
    assert "the number before the multiplicity is taken for J in Hz" in part.remarks


def test_the_first_spectrum_of_a_nucleus_and_one_nucleus_alone(tmp_path: Path) -> None:
    second = "> <Spectrum 13C 1>\n20.0;0.0Q;0|\n\n"
    (part,) = items(tmp_path, CARBON + second + HYDROGEN, modality=Modality.C_NMR)
    assert isinstance(part, Part)
    assert part.spectra == (CarbonNMR((171.4, 51.5, 20.6), (0, 3, 3)),)
    assert "1 further 13C spectrum of the record not read" in part.remarks
    (rejected,) = items(tmp_path, CARBON, modality=Modality.H_NMR)
    assert isinstance(rejected, Rejected)
    assert not rejected.fault


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("20.6;0.0Q;0", "abc;0.0Q;0", "'abc;0.0Q;0' is not 'shift;number and multiplicity;atom'"),
        ("20.6;0.0Q;0", "900;0.0Q;0", "a 13C shift of 900 ppm"),
        ("20.6;0.0Q;0|51.5;0.0Q;4|171.4;0.0S;1|", "", "the tag of the spectrum is empty"),
        ("$$$$", "", "the record has no $$$$: cut off"),
    ],
)
def test_a_malformed_record_costs_no_other(old: str, new: str, words: str, tmp_path: Path) -> None:
    path = tmp_path / "a.sd"
    text = f"{METHYL_ACETATE}{CARBON}$$$$\n"
    path.write_text(text + text.replace(old, new))
    first, second = read_file(path)
    assert isinstance(first, Part)
    assert isinstance(second, Rejected)
    assert words in second.reason
    assert second.fault


def test_a_structure_that_cannot_be_read_costs_no_spectrum(tmp_path: Path) -> None:
    path = tmp_path / "a.sd"
    path.write_text(f"{METHYL_ACETATE}{CARBON}$$$$\n".replace(" C   0", " Qq  0"))
    (part,) = read_file(path)
    assert isinstance(part, Part)
    assert part.smiles is None
    assert len(part.spectra) == 1
