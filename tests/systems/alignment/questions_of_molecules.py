"""A few questions about molecules and proteins, whose answers follow from letters."""

from mmspec_ds.systems.alignment.objects import Example, Molecule, Protein

SMILES = [f"{'C' * a}{'N' * b}{'O' * c}" for a in range(1, 5) for b in range(3) for c in range(2)]
SEQUENCES = [f"MK{'S' * a}{'P' * b}" for a in range(4) for b in range(3)]


def described() -> list[Example]:
    """Each molecule and each protein with a description; some share one."""
    return [
        Example("Describe [MOLECULE].", (Molecule(one),), _text(one), "description", group=one)
        for one in SMILES
    ] + [
        Example("Describe [PROTEIN].", (Protein(one),), f"{one.count('S')} of S", "description", group=one)
        for one in SEQUENCES
    ]


def questions() -> list[Example]:
    """Yes or no about a molecule, which of two, and a protein beside a molecule."""
    found = []
    molecules = [Molecule(one) for one in SMILES]
    for at, one in enumerate(molecules):
        answer = "yes" if "N" in one.smiles else "no"
        group = one.smiles
        found.append(
            Example("Is N in [MOLECULE]?", (one,), answer, "element", choices=("yes", "no"), group=group)
        )
        other = molecules[(at * 7 + 3) % len(molecules)]
        longer = "first" if len(one.smiles) >= len(other.smiles) else "second"
        found.append(Example("[MOLECULE] or [MOLECULE]?", (one, other), longer, "longer", group=group))
        protein = Protein(SEQUENCES[at % len(SEQUENCES)])
        found.append(Example("[PROTEIN] or [MOLECULE]?", (protein, one), answer, "both", group=group))
    return found


def talks() -> list[Example]:
    """Four questions about each molecule and two about each protein, which may stand in one dialogue."""
    found = []
    for one in map(Molecule, SMILES):
        answers = {"element": "N" in one.smiles, "oxygen": "O" in one.smiles, "long": len(one.smiles) > 4}
        found += [
            Example(f"Is {task} in [MOLECULE]?", (one,), "yes" if holds else "no", task, group=one.smiles)
            for task, holds in answers.items()
        ]
        found.append(
            Example("How long is [MOLECULE]?", (one,), str(len(one.smiles)), "length", group=one.smiles)
        )
    for protein in map(Protein, SEQUENCES):
        for letter, task in (("S", "serine"), ("P", "proline")):
            answer = "yes" if letter in protein.sequence else "no"
            group = protein.sequence
            found.append(Example(f"Is {task} in [PROTEIN]?", (protein,), answer, task, group=group))
    return found


def _text(smiles: str) -> str:
    return f"{smiles.count('C')} of C, {smiles.count('N')} of N"
