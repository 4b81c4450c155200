"""Cross peaks and DEPT experiments of NMReDATA."""

from pathlib import Path

import pytest

from mmspec_ds.readers.format_registry import read_file
from mmspec_ds.readers.part import Part
from mmspec_ds.spectra.records import HSQC, CarbonNMR, HSQCPeak, Modality


def read(path: Path, modality: Modality | None = None) -> tuple[HSQC, Part]:
    (item,) = read_file(path, modality)
    assert isinstance(item, Part), str(item)
    spectrum = item.spectra[-1]
    assert isinstance(spectrum, HSQC)
    return spectrum, item


NMREDATA = """a
  made

  1  0  0  0  0  0  0  0  0  0999 V2000
    0.0000    0.0000    0.0000 C   0  0
M  END
> <NMREDATA_1D_1H>
4.26, L=Ha, S=q, J=7.2, N=2
1.35, L=Hb, S=t, J=7.2, N=3

> <NMREDATA_1D_13C>
168.4, L=Cc
62.1, L=Ca
29.7, L=Cd
13.8, L=Cb

{more}
$$$$
"""
CORRELATIONS = """> <NMREDATA_2D_13C_1J_1H>
Larmor=400.1
CorType=HSQC
Ca/Ha, I=12.5
Hb/Cb
Cx/Hx
"""


def test_correlations_of_nmredata(tmp_path: Path) -> None:
    path = tmp_path / "a.sdf"
    path.write_text(NMREDATA.format(more=CORRELATIONS))
    spectrum, part = read(path)
    assert spectrum.peaks == (HSQCPeak(62.1, 4.26, None, 12.5), HSQCPeak(13.8, 1.35))
    assert part.modalities == (Modality.H_NMR, Modality.C_NMR, Modality.HSQC)
    assert read(path, Modality.HSQC)[1].modalities == (Modality.HSQC,)


DEPT_135 = "> <NMREDATA_1D_13C#2>\nPulseprogram=dept135\n62.12, I=-5\n29.71, I=4\n13.81, I=4\n\n"
DEPT_90 = "> <NMREDATA_1D_13C#3>\nSequence=DEPT-90\n29.70, I=4\n\n"


@pytest.mark.parametrize(
    ("tags", "attached"),
    [(DEPT_135, (0, 2, None, None)), (DEPT_135 + DEPT_90, (0, 2, 1, 3)), (DEPT_90, ())],
)
def test_dept_of_nmredata(tags: str, attached: tuple[int | None, ...], tmp_path: Path) -> None:
    path = tmp_path / "a.sdf"
    path.write_text(NMREDATA.format(more=tags))
    (item,) = read_file(path, Modality.C_NMR)
    assert isinstance(item, Part)
    assert item.spectra == (CarbonNMR((168.4, 62.1, 29.7, 13.8), attached),)
    assert any("DEPT-135" in remark for remark in item.remarks) == bool(attached)


def test_multiplicities_of_nmredata(tmp_path: Path) -> None:
    path = tmp_path / "a.sdf"
    text = NMREDATA.format(more="")
    for label, letter in (("Cc", "s"), ("Ca", "t"), ("Cd", "d"), ("Cb", "q")):
        text = text.replace(f"L={label}", f"L={label}, S={letter}")
    path.write_text(text)
    (item,) = read_file(path, Modality.C_NMR)
    assert isinstance(item, Part)
    assert item.spectra == (CarbonNMR((168.4, 62.1, 29.7, 13.8), (0, 2, 1, 3)),)
