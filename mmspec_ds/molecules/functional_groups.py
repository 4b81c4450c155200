"""Functional groups of molecules by name, and whether a structure contains them.

The patterns are SMARTS of our own. A group is counted by its atoms as RDKit reads them: aromatic rings by its
aromaticity model, charges as written. What a name covers is said beside it where textbooks differ.
"""

from dataclasses import dataclass
from functools import cache

from rdkit import Chem

from mmspec_ds.molecules.smiles import parse_smiles


@dataclass(frozen=True, slots=True)
class FunctionalGroup:
    """A functional group by its name and the pattern that finds it in a structure.

    Attributes:
        name: in the singular.
        smarts: of its atoms.
        others: other names for the same group, in the singular.
    """

    name: str
    smarts: str
    others: tuple[str, ...] = ()


_AMINE = (  # a nitrogen that is not part of an amide, a sulfonamide, a nitro group, a hydrazine, an amidine
    "!$(N[CX3]=[O,S,N]);!$(N[SX4](=O)=O);!$(N~[OX1]);!$(N[PX4]=O);!$(N[#7,#8,#16]);!$(NC#N)"
)
_CARBON_SIDE = "$([CX3][#6]),$([CX3H1])"

GROUPS: tuple[FunctionalGroup, ...] = (
    # Hydroxyl on sp3 carbon; a hemiacetal counts, an acid, an enol and a phenol do not.
    FunctionalGroup("alcohol", "[OX2H1][CX4]", ("aliphatic hydroxyl", "aliphatic hydroxy group")),
    # Hydroxyl on any aromatic ring, a pyridine's too.
    FunctionalGroup("phenol", "[OX2H1]c", ("phenolic hydroxyl", "aromatic hydroxyl", "phenolic hydroxy group")),
    # An oxygen between two carbons of which neither is a carbonyl's; epoxides and acetals count, furans do not.
    FunctionalGroup("ether", "[OX2;!$(O[CX3]=[O,S,N])]([#6])[#6]", ("alkoxy group",)),
    FunctionalGroup("epoxide", "[OX2r3]1[#6r3][#6r3]1", ("oxirane",)),
    FunctionalGroup("aldehyde", "[$([CX3H1][#6]),$([CX3H2])]=O", ("formyl group",)),
    FunctionalGroup("ketone", "[#6][CX3](=O)[#6]"),
    # The acid and its anion.
    FunctionalGroup(
        "carboxylic acid", f"[CX3;{_CARBON_SIDE}](=O)[OX2H1,OX1-]", ("carboxyl group", "carboxylate")
    ),
    # Lactones included; carbonates, carbamates and anhydrides are not.
    FunctionalGroup("ester", f"[CX3;{_CARBON_SIDE}](=O)[OX2][#6;!$([CX3]=[O,S,N])]", ("carboxylic ester",)),
    FunctionalGroup("acid anhydride", "[CX3](=O)[OX2][CX3]=O", ("anhydride",)),
    FunctionalGroup("acyl halide", "[CX3](=O)[F,Cl,Br,I]", ("acid halide", "acid chloride", "acyl chloride")),
    # Lactams included; ureas, carbamates and aromatic rings such as a pyridone's are not.
    FunctionalGroup("amide", f"[CX3;{_CARBON_SIDE}](=O)[NX3;!$(N[CX3](=O)[#7,#8])]", ("carboxamide",)),
    FunctionalGroup("urea", "[NX3][CX3](=O)[NX3]"),
    FunctionalGroup("carbamate", "[NX3][CX3](=O)[OX2][#6]", ("urethane",)),
    # On any carbon, anilines and protonated amines too; amides, sulfonamides, hydrazines and the like are not.
    FunctionalGroup("primary amine", f"[$([NX3H2;{_AMINE}]),$([NX4H3+])][#6]", ("primary amino group",)),
    FunctionalGroup(
        "secondary amine", f"[$([NX3H1;{_AMINE}]),$([NX4H2+])]([#6])[#6]", ("secondary amino group",)
    ),
    FunctionalGroup(
        "tertiary amine", f"[$([NX3H0;{_AMINE}]),$([NX4H1+])]([#6])([#6])[#6]", ("tertiary amino group",)
    ),
    FunctionalGroup("quaternary ammonium", "[NX4H0+]([#6])([#6])([#6])[#6]", ("quaternary ammonium ion",)),
    FunctionalGroup("imine", "[CX3;!$(C[#7,#8,#16])]=[NX2][#6,$([H])]", ("Schiff base",)),
    FunctionalGroup("oxime", "[CX3]=[NX2][OX2]"),
    FunctionalGroup("nitrile", "[CX2]#[NX1]", ("cyano group", "cyanide")),
    FunctionalGroup("nitro group", "[$([NX3](=O)=O),$([NX3+](=O)[O-])][#6]", ("nitro",)),
    FunctionalGroup("azide", "[$([NX2]=[NX2+]=[NX1-]),$([NX2-][NX2+]#[NX1])]", ("azido group",)),
    FunctionalGroup("azo group", "[#6][NX2]=[NX2][#6]", ("azo",)),
    FunctionalGroup("isocyanate", "[NX2]=[CX2]=[OX1]"),
    FunctionalGroup("thiol", "[SX2H1][#6]", ("mercaptan", "sulfhydryl")),
    FunctionalGroup("thioether", "[SX2;!$(S[CX3]=[O,S,N])]([#6])[#6]", ("sulfide", "organic sulfide")),
    FunctionalGroup("disulfide", "[#6][SX2][SX2][#6]", ("disulphide",)),
    FunctionalGroup("sulfoxide", "[$([SX3](=[OX1])([#6])[#6]),$([SX3+]([OX1-])([#6])[#6])]", ("sulphoxide",)),
    FunctionalGroup("sulfone", "[SX4](=O)(=O)([#6])[#6]", ("sulphone",)),
    FunctionalGroup("sulfonamide", "[SX4](=O)(=O)([#6])[#7]", ("sulphonamide",)),
    FunctionalGroup("sulfonic acid", "[SX4](=O)(=O)([#6])[OX2H1,OX1-]", ("sulfonate", "sulphonic acid")),
    FunctionalGroup(
        "phosphate", "[PX4](=O)([OX2,OX1-])([OX2,OX1-])[OX2,OX1-]", ("phosphate ester", "phosphoric acid")
    ),
    FunctionalGroup("boronic acid", "[BX3]([OX2H1])([OX2H1])[#6]"),
    # Bonds between two carbons outside aromatic rings.
    FunctionalGroup("alkene", "[CX3]=[CX3]", ("carbon-carbon double bond", "C=C double bond", "olefin")),
    FunctionalGroup("alkyne", "[CX2]#[CX2]", ("carbon-carbon triple bond",)),
    FunctionalGroup("aromatic ring", "a", ("arene", "aromatic system", "aryl group", "aryl")),
    FunctionalGroup("benzene ring", "c1ccccc1", ("phenyl ring", "phenyl group")),
    FunctionalGroup("pyridine ring", "[nX2,nX3+]1ccccc1", ("pyridine",)),
    # The elements, wherever they are in the structure: salts count.
    FunctionalGroup("fluorine", "F", ("fluoro group", "fluoro substituent", "fluorine atom")),
    FunctionalGroup("chlorine", "Cl", ("chloro group", "chloro substituent", "chlorine atom")),
    FunctionalGroup("bromine", "Br", ("bromo group", "bromo substituent", "bromine atom")),
    FunctionalGroup("iodine", "I", ("iodo group", "iodo substituent", "iodine atom")),
    FunctionalGroup("halogen", "[F,Cl,Br,I]", ("halogen atom", "halide", "halogen substituent")),
)
"""The groups that questions and answers may name."""

BY_NAME: dict[str, FunctionalGroup] = {group.name: group for group in GROUPS}


def has_group(molecule: Chem.Mol, name: str) -> bool:
    """Whether a molecule of RDKit contains a group.

    Raises:
        KeyError: there is no group of that name.
    """
    return bool(molecule.HasSubstructMatch(_pattern(BY_NAME[name].smarts)))


def groups_of(smiles: str) -> tuple[str, ...]:
    """The names of all groups of `GROUPS` that a molecule contains, in their order there.

    Raises:
        ValueError: the text is not a valid structure; says why.
    """
    molecule = parse_smiles(smiles)
    return tuple(group.name for group in GROUPS if has_group(molecule, group.name))


@cache
def _pattern(smarts: str) -> Chem.Mol:
    return Chem.MolFromSmarts(smarts)
