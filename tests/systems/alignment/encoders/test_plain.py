"""The encoders without anything learnt, and the registry."""

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy import sparse

from mmspec_ds.errors import ConfigError, DataError
from mmspec_ds.molecules.descriptors import descriptor_names, descriptors
from mmspec_ds.molecules.fingerprints import morgan_fingerprints
from mmspec_ds.readers.cell_table import CellTable, make_table
from mmspec_ds.settings import Settings
from mmspec_ds.spectra.records import CarbonNMR, Record
from mmspec_ds.systems.alignment.encoders.genes import fit_genes
from mmspec_ds.systems.alignment.encoders.registry import make_encoder
from mmspec_ds.systems.alignment.encoders.spectra import SpectraEncoder, pooled_states
from mmspec_ds.systems.alignment.object_files import Cells
from mmspec_ds.systems.alignment.objects import Cell, Kind, Molecule, Object, Protein


class PlugIn:
    """An encoder of another package."""

    class Options(Settings):
        times: int = 1

    name = "plug-in"
    kind: Kind = "molecule"
    width = vectors = 1

    def __init__(self, options: "PlugIn.Options") -> None:
        self.times = options.times
        self.identity = {"times": options.times}

    def encode(self, objects: Sequence[Object]) -> NDArray[np.float32]:
        return np.full((len(objects), 1, 1), self.times, dtype=np.float32)


def test_descriptors_by_hand() -> None:
    numbers = dict(zip(descriptor_names(), descriptors(["C[C@H](N)C(=O)[O-]"])[0]))
    wanted = {"atoms of C": 3, "atoms of H": 6, "atoms of N": 1, "atoms of O": 2, "charge": -1, "NumRings": 0}
    wanted |= {
        "charged atoms": 1,
        "NumHeavyAtoms": 6,
        "NumAtomStereoCenters": 1,
        "NH2": 1,
        "stereo double bonds": 0,
    }
    assert {name: numbers[name] for name in wanted} == wanted
    assert numbers["exactmw"] == pytest.approx(88.0404, abs=1e-3)  # C3H6NO2 with an electron more


def test_morgan_is_bits_and_descriptors() -> None:
    encoder = make_encoder("morgan")
    found = encoder.encode([Molecule("CCO"), Molecule("c1ccccc1C(=O)O")])
    assert found.shape == (2, 1, encoder.width)
    assert np.array_equal(
        found[:, 0, :2048], np.unpackbits(morgan_fingerprints(["CCO", "c1ccccc1C(=O)O"]), axis=1)
    )
    logp = descriptors(["CCO"])[0, descriptor_names().index("CrippenClogP")]
    place = 2048 + descriptor_names().index("CrippenClogP")
    assert logp < 0  # as ethanol's is, so the sign is tested
    assert found[0, 0, place] == pytest.approx(-math.log(1 - logp))
    bits = make_encoder("morgan", {"descriptors": False})
    assert bits.width == 2048
    assert bits.identity != encoder.identity
    assert make_encoder("morgan").identity == encoder.identity
    with pytest.raises(DataError, match=r"invalid SMILES 'C\(C'"):
        encoder.encode([Molecule("CCO"), Molecule("C(C")])
    with pytest.raises(DataError, match="object 1 is a protein: expected a molecule"):
        encoder.encode([Molecule("CCO"), Protein("MK")])
    with pytest.raises(ConfigError, match="both off"):
        make_encoder("morgan", {"descriptors": False, "fingerprint": False})


def test_composition_by_hand() -> None:
    encoder = make_encoder("composition")
    found = encoder.encode([Protein("AAXAC"), Protein("M")])
    words = dict(zip(encoder.words, found[0, 0]))  # type: ignore[attr-defined]
    assert words["A"] == pytest.approx(math.sqrt(3 / 4))
    assert words["C"] == pytest.approx(math.sqrt(1 / 4))
    assert words["AA"] == words["AC"] == pytest.approx(math.sqrt(1 / 2))  # those with X do not count
    assert sum(value != 0 for value in words.values()) == 4
    assert found[0, 0, -1] == pytest.approx(math.log(5) / 10)
    assert found[1, 0, 20:-1].sum() == 0
    assert (encoder.width, make_encoder("composition", {"longest": 3}).width) == (421, 8421)
    with pytest.raises(DataError, match="protein 'odd' has none of the 20 amino acids"):
        encoder.encode([Protein("XX", "odd")])


def table(counts: list[list[int]], genes: str) -> CellTable:
    return make_table(np.array(counts), genes.split(), [f"c{at}" for at in range(len(counts))], {})


def test_genes_by_hand(tmp_path: Path) -> None:
    first, second = table([[8, 1, 1], [0, 5, 5]], "A B C"), table([[1, 3, 96]], "C A Z")
    assert fit_genes([first, second], tmp_path / "panel") == 2
    encoder = make_encoder(f"genes:{tmp_path / 'panel'}")
    assert encoder.genes == ("A", "C")  # type: ignore[attr-defined]
    shares = np.array([[8 / 9, 1 / 9], [0, 1], [3 / 4, 1 / 4]])  # of the two genes
    logs = np.log1p(10_000 * shares)
    wanted = (logs - logs.mean(0)) / (logs.std(0) + 0.1)
    found = encoder.encode([*Cells(first), *Cells(second)])
    assert found[:, 0] == pytest.approx(wanted, abs=1e-5)
    other = encoder.encode([Cell(np.array([2.0], dtype=np.float32), ("A",))])  # no gene C: at its mean
    assert other[0, 0, 1] == 0
    alone = np.log1p(10_000 * shares[:, 0].mean())  # A has the part of the panel that it has elsewhere
    assert other[0, 0, 0] == pytest.approx((alone - logs[:, 0].mean()) / (logs[:, 0].std() + 0.1))
    with pytest.raises(DataError, match="cell 'x' has 0 of the 2 genes of encoder genes, such as A; its own"):
        encoder.encode([Cell(np.array([2.0], dtype=np.float32), ("ENSG1",), "x")])
    assert fit_genes([first], tmp_path / "fewer", shared_with=[("B", "C", "Q")], most=1) == 1
    assert make_encoder(f"genes:{tmp_path / 'fewer'}").identity != encoder.identity


def test_a_damaged_panel_is_refused(tmp_path: Path) -> None:
    fit_genes([table([[1, 2], [2, 1]], "A B")], tmp_path / "panel")
    about = tmp_path / "panel" / "encoder.json"
    about.write_text(about.read_text().replace('"A"', '"Z"'))
    with pytest.raises(DataError, match=r"encoder\.json: altered since it was written"):
        make_encoder("genes", {"path": tmp_path / "panel"})
    with pytest.raises(DataError, match="is there already: expected a new folder"):
        fit_genes([table([[1]], "A")], tmp_path / "panel")
    with pytest.raises(DataError, match=r"holds no manifest\.json: expected a folder that `mmspec fit"):
        make_encoder(f"genes:{tmp_path}")
    with pytest.raises(DataError, match="no gene is named alike"):
        fit_genes([table([[1]], "A"), table([[1]], "B")], tmp_path / "none")


def test_cells_of_a_table_share_its_genes() -> None:
    values = sparse.csr_matrix(np.array([[0, 2, 0], [1, 0, 3]], dtype=np.float32))
    cells = Cells(CellTable(values, ("A", "B", "C"), ("x", "y")))
    assert [one.values.tolist() for one in cells] == [[0, 2, 0], [1, 0, 3]]
    assert cells[-1].name == "y"
    assert cells[0].genes is cells[1].genes
    assert [one.name for one in cells[::-1]] == ["y", "x"]


def test_the_starter_pools_states_by_modality() -> None:
    encoder = make_encoder("starter")
    assert isinstance(encoder, SpectraEncoder)
    carbon = Record("a", (CarbonNMR((14.0, 60.0)),))
    found = encoder.encode([carbon, Record("b", (CarbonNMR((14.0,)),), formula="CH4")])
    assert found.shape == (2, len(encoder.pooled), encoder.width)
    filled = [[encoder.pooled[at] for at in np.flatnonzero(one.any(1))] for one in found]
    assert filled == [["c_nmr"], ["c_nmr", "formula"]]
    alone = encoder.encode([carbon])
    assert alone[0] == pytest.approx(found[0], abs=1e-5)  # padding changes nothing
    whole = make_encoder("starter", {"pooling": "record", "maximum": True})
    assert (whole.vectors, whole.width) == (1, 2 * encoder.width)
    assert whole.encode([carbon])[0, 0, : encoder.width] == pytest.approx(alone[0].sum(0), abs=1e-5)
    with pytest.raises(DataError, match="record c: no spectrum that the model reads: expected h_nmr or"):
        encoder.encode([Record("c", (), formula="CH4")])


def test_pooling_by_hand() -> None:
    hidden = torch.tensor([[[1.0, 5.0], [3.0, 1.0], [9.0, 9.0]]]).repeat(2, 1, 1)
    mask = torch.tensor([[True, True, False], [False, False, False]])
    assert pooled_states(hidden, mask, maximum=True).tolist() == [[2, 3, 3, 5], [0, 0, 0, 0]]


def test_another_encoder_is_named_by_its_place(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(Path(__file__).parent))
    encoder = make_encoder("test_plain:PlugIn", {"times": 3})
    assert encoder.encode([Molecule("C")]).tolist() == [[[3]]]
    with pytest.raises(ConfigError, match=r"test_plain:PlugIn: tmies: unknown key; did you mean 'times'\?"):
        make_encoder("test_plain:PlugIn", {"tmies": 3})
    with pytest.raises(ConfigError, match="expected a class with Options"):
        make_encoder("test_plain:Path")
    with pytest.raises(ConfigError, match="no_such_package cannot be imported"):
        make_encoder("no_such_package:Encoder")
    with pytest.raises(ConfigError, match=r"unknown encoder 'morgen'; did you mean 'morgan'\?"):
        make_encoder("morgen")
    with pytest.raises(ConfigError, match="unknown key"):
        make_encoder("morgan:somewhere")
    with pytest.raises(ConfigError, match=r"unknown encoder '/tmp/evil\.py:Encoder'"):
        make_encoder("/tmp/evil.py:Encoder")
