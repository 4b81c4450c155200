"""Morgan fingerprints as packed bits, and the Tanimoto similarity of many of them at once.

Axes: N, O molecules, X bytes of a fingerprint.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from rdkit import Chem, DataStructs, rdBase
from rdkit.Chem import rdFingerprintGenerator, rdMolDescriptors

BITS = 2048
RADIUS = 2

ByteArray = npt.NDArray[np.uint8]
FloatArray = npt.NDArray[np.float32]


def morgan_fingerprints(smiles: Sequence[str]) -> ByteArray:
    """Morgan fingerprints (Rogers and Hahn 2010, doi 10.1021/ci100050t) of radius 2 and 2,048 bits, eight to a
    byte: uint8 [N, 256], as `np.unpackbits` reads them. A text that is not a valid structure has no bit set.
    """
    generator = rdFingerprintGenerator.GetMorganGenerator(radius=RADIUS, fpSize=BITS)
    found = np.zeros((len(smiles), BITS // 8), dtype=np.uint8)
    row = np.zeros(BITS, dtype=np.uint8)
    with rdBase.BlockLogs():
        for at, text in enumerate(smiles):
            molecule = Chem.MolFromSmiles(text)
            if molecule is not None:
                DataStructs.ConvertToNumpyArray(generator.GetFingerprint(molecule), row)
                found[at] = np.packbits(row)
    return found


def tanimoto_similarities(first_NX: ByteArray, second_OX: ByteArray) -> FloatArray:
    """The Tanimoto similarity of every pair of packed fingerprints, float32 [N, O]: common bits over bits of
    either; 0 where neither has any."""
    one, other = (np.unpackbits(bits, axis=1).astype(np.float32) for bits in (first_NX, second_OX))
    common = one @ other.T
    either = one.sum(1)[:, None] + other.sum(1) - common
    return np.divide(common, either, out=np.zeros_like(common), where=either > 0)


def several_fingerprints(smiles: Sequence[str]) -> tuple[ByteArray, ...]:
    """Four fingerprints of each molecule as packed bits, each uint8 [N, X]: Morgan ones of radius 2 with
    chirality, and with the features of atoms instead of the elements (Rogers and Hahn 2010), pairs of atoms
    (Carhart et al. 1985, doi 10.1021/ci00046a002), these three of 2,048 bits with counts as further bits, and
    the 166 MACCS keys. A text that is not a valid structure has no bit set.
    """
    made = rdFingerprintGenerator
    features = made.GetMorganFeatureAtomInvGen()
    generators = (
        made.GetMorganGenerator(radius=RADIUS, fpSize=BITS, includeChirality=True, countSimulation=True),
        made.GetMorganGenerator(
            radius=RADIUS, fpSize=BITS, atomInvariantsGenerator=features, countSimulation=True
        ),
        made.GetAtomPairGenerator(fpSize=BITS, countSimulation=True),
    )
    rows: list[list[ByteArray]] = [[] for _ in range(len(generators) + 1)]
    with rdBase.BlockLogs():
        for text in smiles:
            molecule = Chem.MolFromSmiles(text) or Chem.Mol()
            bits = [one.GetFingerprintAsNumPy(molecule) for one in generators]
            bits.append(np.array(list(rdMolDescriptors.GetMACCSKeysFingerprint(molecule)), dtype=np.uint8))
            for own, row in zip(rows, bits):
                own.append(np.packbits(row))
    return tuple(np.stack(own) if own else np.zeros((0, BITS // 8), dtype=np.uint8) for own in rows)


def mean_similarities(first: Sequence[ByteArray], second: Sequence[ByteArray]) -> FloatArray:
    """The mean of the Tanimoto similarities by each fingerprint of every pair of molecules, float32 [N, O]."""
    found: FloatArray = np.mean([tanimoto_similarities(*both) for both in zip(first, second)], axis=0)
    return found
