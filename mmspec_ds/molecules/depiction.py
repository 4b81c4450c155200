"""Drawings of molecules, made by RDKit."""

from typing import Any

from rdkit import Chem, rdBase
from rdkit.Chem import rdDepictor
from rdkit.Chem.Draw import rdMolDraw2D


def structure_png(smiles: str, width: int, height: int) -> bytes | None:
    """A structure on white, as the bytes of a PNG of so many pixels; None when the text is not a valid
    structure."""
    molecule = _laid_out(smiles)
    if molecule is None:
        return None
    canvas = rdMolDraw2D.MolDraw2DCairo(width, height)
    _draw(canvas, molecule)
    return bytes(canvas.GetDrawingText())


def structure_svg(smiles: str, width: int, height: int) -> str | None:
    """A structure without a background, as an SVG element to stand in a page; None when the text is
    not a valid structure."""
    molecule = _laid_out(smiles)
    if molecule is None:
        return None
    canvas: Any = rdMolDraw2D.MolDraw2DSVG(width, height)
    canvas.drawOptions().clearBackground = False
    _draw(canvas, molecule)
    text: str = canvas.GetDrawingText()
    return text[text.index("<svg") :]


def _laid_out(smiles: str) -> Chem.Mol | None:
    with rdBase.BlockLogs():
        molecule = Chem.MolFromSmiles(smiles)
    if molecule is None or not molecule.GetNumAtoms():
        return None
    rdDepictor.SetPreferCoordGen(False)
    rdDepictor.Compute2DCoords(molecule)
    return molecule


def _draw(canvas: Any, molecule: Chem.Mol) -> None:
    options = canvas.drawOptions()
    options.fixedBondLength = 28.0  # small molecules are not blown up: all of a page have one scale
    options.padding = 0.08
    options.bondLineWidth = 1.6
    rdMolDraw2D.PrepareAndDrawMolecule(canvas, molecule)
    canvas.FinishDrawing()
