"""Vectors that are computed once: kept by object, added to, and refused where they do not fit."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from mmspec_ds.errors import DataError
from mmspec_ds.files import read_manifest
from mmspec_ds.spectra.records import CarbonNMR, Infrared, Record
from mmspec_ds.systems.alignment.encoded import encode_all, open_encoded
from mmspec_ds.systems.alignment.objects import Cell, Kind, Molecule, Object, Protein, object_key

MOLECULES = [Molecule(smiles) for smiles in ("CCO", "c1ccccc1", "CC(=O)O", "N", "CCO")]


class Lengths:
    """The length of a SMILES and its square, and how often it was asked."""

    name = "lengths"
    kind: Kind = "molecule"
    width, vectors = 1, 2

    def __init__(self, **identity: Any) -> None:
        self.identity: Mapping[str, Any] = {"encoder": self.name, **identity}
        self.encoded = 0

    def encode(self, objects: Sequence[Object]) -> NDArray[np.float32]:
        self.encoded += len(objects)
        lengths = np.array([len(one.smiles) for one in objects if isinstance(one, Molecule)], dtype=np.float32)
        return np.stack([lengths, lengths**2], axis=1)[..., None]


def test_vectors_follow_their_objects_and_are_computed_once(tmp_path: Path) -> None:
    encoder, told = Lengths(), list[int]()
    found = encode_all(encoder, MOLECULES[1:], tmp_path / "v", told.append)
    assert (encoder.encoded, told, len(found)) == (4, [4], 4)
    found = encode_all(encoder, MOLECULES, tmp_path / "v")  # CCO is there twice, and was the last one before
    assert encoder.encoded == 4
    assert found.of(MOLECULES)[:, :, 0].tolist() == [[3, 9], [8, 64], [7, 49], [1, 1], [3, 9]]
    more = encode_all(encoder, [Molecule("CC"), *MOLECULES], tmp_path / "v")
    assert (encoder.encoded, len(more)) == (5, 5)
    assert more.of([Molecule("CC"), MOLECULES[1]])[:, 0, 0].tolist() == [2, 8]
    assert more.has([Molecule("CC"), Molecule("CCC")]).tolist() == [True, False]
    assert len(list((tmp_path / "v").glob("*.npy"))) == 2  # the arrays before are gone
    again = open_encoded(tmp_path / "v")
    assert isinstance(again.vectors, np.memmap)
    assert np.array_equal(again.of(MOLECULES), found.of(MOLECULES))


def test_what_was_not_encoded_is_told(tmp_path: Path) -> None:
    found = encode_all(Lengths(), MOLECULES, tmp_path)
    with pytest.raises(DataError, match="molecule 1 has no vectors of encoder lengths: expected one of the 4"):
        found.of([MOLECULES[0], Molecule("CCC")])
    empty = encode_all(Lengths(), [], tmp_path / "none")
    assert len(empty) == 0
    with pytest.raises(DataError, match="molecule 0 has no vectors"):
        empty.of(MOLECULES)
    assert len(encode_all(Lengths(), MOLECULES, tmp_path / "none")) == 4


def test_another_encoder_is_refused_in_one_line(tmp_path: Path) -> None:
    encode_all(Lengths(version=1), MOLECULES, tmp_path)
    with pytest.raises(DataError, match=r"another encoder \(lengths\), .*: its version is 1, not 2"):
        encode_all(Lengths(version=2), MOLECULES, tmp_path)


@pytest.mark.parametrize("which", ["keys", "vectors"])
def test_a_flipped_byte_is_refused_in_one_line(tmp_path: Path, which: str) -> None:
    encode_all(Lengths(), MOLECULES, tmp_path)
    path = tmp_path / read_manifest(tmp_path)[which]
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    with pytest.raises(DataError, match=rf"{path.name}: altered since it was written, .*remove the folder"):
        open_encoded(tmp_path)


def test_a_stopped_process_leaves_what_was_there(tmp_path: Path) -> None:
    class Stopped(Lengths):
        def encode(self, objects: Sequence[Object]) -> NDArray[np.float32]:
            raise KeyboardInterrupt

    encode_all(Lengths(), MOLECULES, tmp_path)
    with pytest.raises(KeyboardInterrupt):
        encode_all(Stopped(), [Molecule("CC")], tmp_path)
    assert open_encoded(tmp_path, Lengths()).of(MOLECULES[:1])[0, 0, 0] == 3


def test_vectors_of_a_wrong_shape_or_without_a_number_are_refused(tmp_path: Path) -> None:
    class Wide(Lengths):
        width = 3

    class Nan(Lengths):
        def encode(self, objects: Sequence[Object]) -> NDArray[np.float32]:
            return np.full((len(objects), 2, 1), np.nan, dtype=np.float32)

    with pytest.raises(DataError, match=r"shape \(4, 2, 1\): expected \(4, 2, 3\)"):
        encode_all(Wide(), MOLECULES, tmp_path / "wide")
    with pytest.raises(DataError, match="gave no finite vectors for molecule"):
        encode_all(Nan(), MOLECULES, tmp_path / "nan")


def test_keys_tell_objects_apart_by_content_alone() -> None:
    carbons = Record("a", (CarbonNMR((10.0, 20.5)),), smiles="CC")
    infrared = Record("a", (Infrared(np.zeros(3)),))
    values, genes = np.array([1.0, 0.0], dtype=np.float32), ("CD3E", "MS4A1")
    objects: list[Object] = [
        carbons,
        replace(carbons, formula="C2H6"),
        replace(carbons, spectra=(CarbonNMR((10.0, 20.6)),)),
        infrared,
        replace(infrared, spectra=(Infrared(np.zeros(3), start_cm1=500.0),)),
        Molecule("CC"),
        Protein("CC"),
        Cell(values, genes),
        Cell(values[::-1], genes),
        Cell(values, ("CD3E", "CD8A")),
    ]
    assert len({object_key(one) for one in objects}) == len(objects)
    assert object_key(carbons) == object_key(replace(carbons, id="b", smiles=None))
    assert object_key(Cell(values, genes, "x")) == object_key(Cell(values.copy(), tuple(genes)))
    assert object_key(Protein("CC", "x")) == object_key(Protein("CC"))
