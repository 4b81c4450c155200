"""What follows from a structure: formula, mass, groups, rings, stereo centres, the rule of five.

Questions are made of these facts, and answers are checked by them.
"""

from dataclasses import dataclass

from rdkit import Chem
from rdkit.Chem import rdMolDescriptors as rd

from mmspec_ds.molecules.functional_groups import GROUPS, has_group
from mmspec_ds.molecules.smiles import parse_smiles


@dataclass(frozen=True, slots=True)
class Facts:
    """What RDKit says of a structure.

    Attributes:
        formula: in Hill order, with the charge last.
        exact_mass_da: monoisotopic, of the ion where there is a charge.
        groups: names of the functional groups that it contains, see `functional_groups.GROUPS`.
        rings: in the smallest set of smallest rings.
        aromatic_rings: those of them that are aromatic.
        stereocentres: atoms that are or could be tetrahedral stereo centres, specified or not.
        specified_stereocentres: those whose configuration the SMILES states.
        weight_da: average molecular weight.
        log_p: Wildman-Crippen.
        donors, acceptors: of hydrogen bonds, as Lipinski counts them: NH and OH; N and O.
        lipinski_violations: of the rule of five, 0 to 4: weight above 500, log P above 5, more than 5 donors,
            more than 10 acceptors (Lipinski et al. 1997, doi 10.1016/S0169-409X(96)00423-1).
    """

    formula: str
    exact_mass_da: float
    groups: frozenset[str]
    rings: int
    aromatic_rings: int
    stereocentres: int
    specified_stereocentres: int
    weight_da: float
    log_p: float
    donors: int
    acceptors: int
    lipinski_violations: int

    @property
    def passes_lipinski(self) -> bool:
        """Whether the rule of five predicts good absorption: at most one violation."""
        return self.lipinski_violations <= 1


def facts_of(smiles: str) -> Facts:
    """The facts of the structure that a SMILES names.

    Raises:
        ValueError: the text is not a valid structure; the message is one line and says why.
    """
    molecule = parse_smiles(smiles)
    centres = Chem.FindMolChiralCenters(molecule, includeUnassigned=True, useLegacyImplementation=False)
    weight, (log_p, _) = rd._CalcMolWt(molecule), rd.CalcCrippenDescriptors(molecule)
    donors, acceptors = rd.CalcNumLipinskiHBD(molecule), rd.CalcNumLipinskiHBA(molecule)
    return Facts(
        formula=rd.CalcMolFormula(molecule),
        exact_mass_da=rd.CalcExactMolWt(molecule),
        groups=frozenset(group.name for group in GROUPS if has_group(molecule, group.name)),
        rings=rd.CalcNumRings(molecule),
        aromatic_rings=rd.CalcNumAromaticRings(molecule),
        stereocentres=len(centres),
        specified_stereocentres=sum(label != "?" for _, label in centres),
        weight_da=weight,
        log_p=log_p,
        donors=donors,
        acceptors=acceptors,
        lipinski_violations=sum((weight > 500, log_p > 5, donors > 5, acceptors > 10)),
    )
