"""Drawings of molecules, made by RDKit."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from rdkit import Chem, rdBase
from rdkit.Chem import rdDepictor
from rdkit.Chem.Draw import rdMolDraw2D

Colour = tuple[int, int, int]
"""Red, green and blue from 0 to 255."""


@dataclass(frozen=True)
class Style:
    """How a structure is drawn.

    Attributes:
        bond: longest length of a bond in pixels. Small molecules are not blown up, so that all of a page have
            one scale.
        colours: of a disc under an atom, by its number in `Chem.MolFromSmiles(smiles)`.
        notes: beside an atom.
    """

    bond: float = 28.0
    colours: Mapping[int, Colour] = field(default_factory=dict)
    notes: Mapping[int, str] = field(default_factory=dict)


PLAIN = Style()


def structure_png(smiles: str, width: int, height: int, style: Style = PLAIN) -> bytes | None:
    """A structure on white, as the bytes of a PNG of so many pixels; None when the text is not a valid
    structure."""
    molecule = _laid_out(smiles)
    if molecule is None:
        return None
    canvas = rdMolDraw2D.MolDraw2DCairo(width, height)
    _draw(canvas, molecule, style)
    return bytes(canvas.GetDrawingText())


def structure_svg(smiles: str, width: int, height: int, style: Style = PLAIN) -> str | None:
    """A structure without a background, as an SVG element to stand in a page; None when the text is
    not a valid structure."""
    molecule = _laid_out(smiles)
    if molecule is None:
        return None
    canvas: Any = rdMolDraw2D.MolDraw2DSVG(width, height)
    canvas.drawOptions().clearBackground = False
    _draw(canvas, molecule, style)
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


def _draw(canvas: Any, molecule: Chem.Mol, style: Style) -> None:
    options = canvas.drawOptions()
    options.fixedBondLength = style.bond
    options.padding = 0.08
    options.bondLineWidth = 1.6
    options.annotationFontScale = 0.62
    options.highlightRadius = 0.32
    for atom, note in style.notes.items():
        molecule.GetAtomWithIdx(atom).SetProp("atomNote", note)
    colours = {atom: tuple(part / 255 for part in colour) for atom, colour in style.colours.items()}
    rdMolDraw2D.PrepareAndDrawMolecule(
        canvas, molecule, highlightAtoms=list(colours), highlightAtomColors=colours, highlightBonds=[]
    )
    canvas.FinishDrawing()


def atom_labels(smiles: str) -> list[str]:
    """The symbol and the number, from 1, of each atom in the order of a valid SMILES: "C1", "O2"."""
    return [f"{atom.GetSymbol()}{atom.GetIdx() + 1}" for atom in Chem.MolFromSmiles(smiles).GetAtoms()]
