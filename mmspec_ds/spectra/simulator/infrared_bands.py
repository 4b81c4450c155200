"""Group frequencies of organic molecules: where the textbook correlation charts put them.

Centres and half widths at half maximum are in cm-1, heights are relative (1 is a strong band). In each
family a group's first atom is claimed by the first row that matches it, so rows run from special to general.
"""

from typing import NamedTuple


class Band(NamedTuple):
    """One absorption: centre and half width (cm-1), height per group."""

    centre: float
    half_width: float
    height: float


class Group(NamedTuple):
    """A structural group (SMARTS, its first atom is the anchor) and its bands."""

    family: str
    smarts: str
    bands: tuple[Band, ...]


class Displacement(NamedTuple):
    """A surrounding (SMARTS, anchored likewise) that moves the first band of a family by `by` cm-1."""

    family: str
    smarts: str
    by: float


def _group(family: str, smarts: str, *bands: tuple[float, float, float]) -> Group:
    return Group(family, smarts, tuple(Band(*band) for band in bands))


GROUPS = (
    # O-H and the C-O beside it
    _group("hydroxyl", "[OX2H]C=O", (3020, 260, 0.55), (1415, 22, 0.3), (1285, 25, 0.5), (935, 35, 0.3)),
    _group("hydroxyl", "[OX2H]a", (3310, 130, 0.6), (1360, 20, 0.3), (1225, 18, 0.8)),
    _group("hydroxyl", "[OX2H][CX4H2]", (3340, 120, 0.7), (1050, 16, 0.8), (1415, 25, 0.15)),
    _group("hydroxyl", "[OX2H][CX4H1]", (3355, 115, 0.65), (1105, 18, 0.7), (1330, 25, 0.15)),
    _group("hydroxyl", "[OX2H][CX4]", (3380, 110, 0.6), (1160, 20, 0.7), (1365, 25, 0.15)),
    _group("thiol", "[SX2H]", (2565, 14, 0.12)),
    # N-H
    _group("amine", "[NX3H2]C=O", (3350, 45, 0.6), (3185, 50, 0.55), (1625, 22, 0.5), (1400, 22, 0.35)),
    _group("amine", "[NX3H1]C=O", (3295, 40, 0.6), (3080, 30, 0.15), (1550, 22, 0.7), (1270, 20, 0.25)),
    _group("amine", "[NX3H0]C=O", (1400, 20, 0.25)),
    _group("amine", "[NX3H2]a", (3440, 28, 0.4), (3350, 32, 0.4), (1620, 16, 0.6), (1285, 18, 0.5)),
    _group("amine", "[NX3H1]a", (3410, 30, 0.4), (1510, 18, 0.4), (1320, 18, 0.5)),
    _group("amine", "[nH]", (3390, 70, 0.5), (1145, 15, 0.2), (735, 25, 0.4)),
    _group(
        "amine",
        "[NX3H2]",
        (3370, 38, 0.25),
        (3290, 38, 0.22),
        (1612, 24, 0.4),
        (1085, 20, 0.2),
        (830, 55, 0.45),
    ),
    _group("amine", "[NX3H1]", (3320, 35, 0.12), (1470, 18, 0.15), (1130, 18, 0.3), (735, 45, 0.3)),
    _group("amine", "[NX3H0;!a]", (2790, 18, 0.3), (1190, 18, 0.25), (1040, 18, 0.2)),
    # carbonyls, from special to general
    _group("carbonyl", "[CX3](=O)Cl", (1800, 14, 1.0), (880, 25, 0.5)),
    _group("carbonyl", "[CX3](=O)(O)N", (1710, 15, 1.0), (1240, 20, 0.6)),
    _group("carbonyl", "[CX3](=O)(O)O", (1748, 13, 1.0), (1265, 20, 0.9)),
    _group("carbonyl", "[CX3](=O)(N)N", (1662, 16, 1.0), (1590, 20, 0.4)),
    _group("carbonyl", "[CX3](=O)[OX2H]", (1713, 17, 1.0)),
    _group("carbonyl", "[CX3H1](=O)O", (1724, 12, 1.0), (1180, 16, 0.9), (2930, 15, 0.15)),
    _group("carbonyl", "[CX3](=O)O", (1741, 12, 1.0), (1240, 18, 0.85), (1050, 16, 0.4)),
    _group("carbonyl", "[CX3](=O)[NX3H2]", (1670, 16, 1.0)),
    _group("carbonyl", "[CX3](=O)[NX3H1]", (1656, 15, 1.0)),
    _group("carbonyl", "[CX3](=O)N", (1648, 15, 1.0)),
    _group("carbonyl", "[CX3H1]=O", (1729, 11, 1.0), (2820, 14, 0.2), (2722, 13, 0.22), (1390, 14, 0.15)),
    _group("carbonyl", "[CX3]=O", (1715, 11, 1.0), (1200, 18, 0.3)),
    _group("oxo", "c=O", (1655, 20, 1.0)),
    # triple bonds
    _group("nitrile", "[CX2](#N)[c,$(C=[C,O]),$(C#C)]", (2226, 7, 0.4)),
    _group("nitrile", "[CX2]#N", (2249, 7, 0.25)),
    _group("alkyne", "[CX2H]#C", (3300, 16, 0.7), (2118, 8, 0.15), (635, 25, 0.6)),
    _group("alkyne", "[CX2H0]#[CX2H0]", (2225, 9, 0.04)),
    # double bonds
    _group("alkene", "[CX3H2]=[CX3H1]", (1643, 8, 0.3), (3085, 12, 0.2), (990, 8, 0.5), (912, 8, 0.7)),
    _group("alkene", "[CX3H2]=[CX3H0]", (1653, 8, 0.3), (3080, 12, 0.2), (890, 9, 0.7)),
    _group("alkene", "[CX3H1;R]=[CX3H1;R]", (1648, 8, 0.12), (3030, 13, 0.25), (695, 18, 0.5)),
    _group("alkene", "[CX3H1;!$(C=[CH2])]=[CX3H1]", (1668, 8, 0.06), (3022, 13, 0.2), (966, 9, 0.6)),
    _group("alkene", "[CX3H1]=[CX3H0]", (1672, 9, 0.12), (3015, 14, 0.12), (825, 15, 0.35)),
    _group("alkene", "[CX3H0]=[CX3H0]", (1675, 10, 0.03)),
    # aromatic rings
    _group("aromatic C-H", "[cH]", (3050, 22, 0.12)),
    _group("benzene", "c1ccccc1", (1600, 9, 0.25), (1495, 8, 0.35), (1452, 8, 0.2)),
    _group("pyridine", "n1ccccc1", (1585, 9, 0.5), (1475, 8, 0.35), (1432, 8, 0.4), (1030, 8, 0.25)),
    _group("diazine", "n1cnccc1", (1565, 10, 0.6), (1402, 9, 0.6), (1000, 10, 0.15)),
    _group("diazine", "n1ccncc1", (1520, 9, 0.25), (1405, 9, 0.6), (1018, 9, 0.5)),
    _group("diazine", "n1ncccc1", (1568, 9, 0.35), (1415, 9, 0.5), (970, 10, 0.3)),
    _group("furan", "o1cccc1", (1585, 9, 0.2), (1506, 8, 0.4), (1015, 9, 0.45), (885, 9, 0.35)),
    _group("thiophene", "s1cccc1", (1520, 9, 0.2), (1412, 8, 0.4), (1045, 9, 0.15), (850, 10, 0.3)),
    _group("pyrrole", "n1cccc1", (1532, 9, 0.3), (1422, 8, 0.25), (1048, 9, 0.35), (1015, 9, 0.3)),
    _group("imidazole", "n1cncc1", (1545, 10, 0.3), (1490, 9, 0.4), (1075, 9, 0.45), (925, 10, 0.2)),
    _group("pyrazole", "n1nccc1", (1525, 9, 0.25), (1395, 9, 0.45), (1050, 9, 0.35), (875, 10, 0.25)),
    _group("oxazole", "o1cncc1", (1538, 9, 0.3), (1498, 8, 0.5), (1090, 9, 0.4), (908, 9, 0.3)),
    _group("isoxazole", "o1nccc1", (1560, 9, 0.4), (1430, 9, 0.4), (1130, 9, 0.25), (910, 9, 0.3)),
    _group("thiazole", "s1cncc1", (1482, 9, 0.45), (1385, 9, 0.4), (1060, 9, 0.25), (870, 9, 0.4)),
    _group("isothiazole", "s1nccc1", (1490, 9, 0.25), (1392, 9, 0.45), (1240, 9, 0.2), (820, 9, 0.4)),
    _group("oxadiazole", "o1cnnc1", (1570, 9, 0.5), (1512, 9, 0.5), (1090, 9, 0.4), (950, 9, 0.35)),
    _group("thiadiazole", "s1cnnc1", (1525, 9, 0.3), (1391, 9, 0.4), (1230, 9, 0.3), (895, 9, 0.3)),
    _group("triazole", "n1ncnc1", (1525, 9, 0.5), (1275, 9, 0.5), (1145, 9, 0.4), (980, 9, 0.3)),
    _group("triazole", "n1nncc1", (1460, 9, 0.3), (1240, 9, 0.3), (1095, 9, 0.5), (975, 9, 0.3)),
    _group("substitution", "c1([!#1;!a])[cH][cH][cH][cH][cH]1", (750, 9, 0.8), (698, 9, 0.8)),
    _group("substitution", "c1([!#1;!a])c([!#1;!a])[cH][cH][cH][cH]1", (752, 10, 0.9)),
    _group(
        "substitution", "c1([!#1;!a])[cH]c([!#1;!a])[cH][cH][cH]1", (778, 9, 0.7), (692, 9, 0.5), (880, 10, 0.2)
    ),
    _group("substitution", "c1([!#1;!a])[cH][cH]c([!#1;!a])[cH][cH]1", (822, 9, 0.9)),
    # C-O-C, C-S, C-N
    _group("ether", "[OX2r3]", (1250, 12, 0.4), (905, 14, 0.35), (835, 14, 0.6)),
    _group("ether", "[OX2r4]", (975, 14, 0.8), (1030, 16, 0.2)),
    _group("ether", "[OX2r5]([CX4])[CX4]", (1070, 14, 0.8), (912, 14, 0.35)),
    _group("ether", "[OX2]([CX4])[CX4]", (1118, 15, 0.8), (935, 18, 0.1)),
    _group("ether", "[OX2](a)[CX4]", (1245, 14, 0.8), (1035, 13, 0.4)),
    _group("ether", "[OX2]([CX3]=C)[CX4]", (1203, 15, 0.8), (1078, 15, 0.3)),
    _group("sulfide", "[SX2r3]", (1045, 14, 0.3), (612, 14, 0.5)),
    _group("sulfide", "[SX2H0]", (690, 16, 0.15), (655, 16, 0.15)),
    _group("sulfide", "[SX2H1]", (705, 18, 0.12), (850, 20, 0.1)),
    # halides
    _group("fluoride", "[CX4](F)(F)F", (1280, 15, 0.8), (1165, 18, 1.0), (1135, 15, 0.7)),
    _group("fluoride", "[CX4](F)F", (1130, 18, 0.9), (1065, 18, 0.9)),
    _group("fluoride", "[CX4]F", (1035, 18, 0.9)),
    _group("fluoride", "[CX3]F", (1185, 16, 0.8)),
    _group("fluoride", "cF", (1230, 13, 0.8)),
    _group("chloride", "[CX4](Cl)Cl", (775, 14, 0.8), (740, 14, 0.6)),
    _group("chloride", "[CX4H2]Cl", (725, 14, 0.5), (655, 14, 0.6), (1270, 14, 0.25)),
    _group("chloride", "[CX4H1]Cl", (665, 15, 0.5), (612, 15, 0.5)),
    _group("chloride", "[CX4]Cl", (570, 15, 0.7)),
    _group("chloride", "[CX3]Cl", (702, 16, 0.6)),
    _group("chloride", "cCl", (1090, 11, 0.5), (715, 14, 0.25)),
    # C-H of saturated carbon
    _group("methyl", "[CX4H3][OX2]", (2832, 14, 0.25), (2990, 16, 0.3), (1455, 12, 0.2), (1190, 14, 0.15)),
    _group("methyl", "[CX4H3][NX3,n]", (2960, 18, 0.25), (1440, 12, 0.15), (1410, 14, 0.12)),
    _group("methyl", "[CX4H3][SX2]", (2920, 15, 0.25), (1430, 12, 0.15), (1315, 12, 0.12)),
    _group("methyl", "[CX4H3][CX3]=O", (3000, 16, 0.06), (1425, 12, 0.15), (1360, 8, 0.5)),
    _group(
        "methyl", "[CX4H3]C([CH3])([CH3])", (2963, 14, 0.4), (2872, 12, 0.2), (1395, 7, 0.1), (1366, 7, 0.25)
    ),
    _group("methyl", "[CX4H3][CX4][CH3]", (2963, 14, 0.4), (2872, 12, 0.2), (1460, 12, 0.2), (1376, 10, 0.18)),
    _group("methyl", "[CX4H3]", (2962, 14, 0.35), (2872, 12, 0.2), (1457, 12, 0.2), (1379, 8, 0.2)),
    _group("methylene", "[CX4H2r3]", (3082, 12, 0.2), (3006, 12, 0.2), (1025, 14, 0.2)),
    _group("methylene", "[CX4H2r4]", (2975, 15, 0.3), (2860, 14, 0.2), (1440, 10, 0.15)),
    _group("methylene", "[CX4H2][CX3]=O", (2935, 16, 0.15), (2850, 14, 0.08), (1415, 11, 0.25)),
    _group("methylene", "[CX4H2]C#[N,C]", (2935, 14, 0.15), (2850, 14, 0.08), (1425, 10, 0.25)),
    _group(
        "methylene",
        "[CX4H2]([CX4H2])[CX4H2]",
        (2927, 14, 0.35),
        (2854, 12, 0.25),
        (1466, 9, 0.15),
        (735, 15, 0.06),
    ),
    _group("methylene", "[CX4H2]", (2932, 16, 0.3), (2860, 13, 0.22), (1463, 10, 0.15), (1350, 20, 0.06)),
    _group("methine", "[CX4H1]", (2895, 20, 0.1), (1340, 16, 0.1)),
)

DISPLACEMENTS = (
    Displacement("carbonyl", "[CX3](=O)-[c,$(C=C),$(C#C)]", -25),
    Displacement("carbonyl", "[CX3](=O)[CX4][F,Cl]", 16),
    Displacement("carbonyl", "[CX3](=O)[CX3]=O", 4),
    Displacement("carbonyl", "[CX3](=O)O[$(C=C),c]", 22),
    Displacement("carbonyl", "[CX3;r4](=O)", 68),
    Displacement("carbonyl", "[CX3;r5](=O)", 32),
    Displacement("carbonyl", "[CX3;r7](=O)", -8),
    Displacement("alkene", "[CX3]=C-[c,$(C=C),$(C=O),$(C#C),$(C#N)]", -20),
    Displacement("alkene", "[CX3]=[CX3][OX2,NX3,Cl]", -18),
    Displacement("alkene", "[CX3]=[CX3]F", 15),
    Displacement("alkene", "[CX3;r5]=[CX3;r5]", -33),
    Displacement("hydroxyl", "[OX2H]CC[O,N]", -50),
)
