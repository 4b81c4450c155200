"""Structures that the model proposes for a few held-back molecules while it learns."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import torch
from PIL import Image

from mmspec_ds.data.batch import SpectraBatch
from mmspec_ds.figures.molecule_sheet import RIGHT, TRUE, WRONG, Panel, draw_panels
from mmspec_ds.molecules.vocabulary import Vocabulary
from mmspec_ds.nn.beam import beam_search
from mmspec_ds.systems.elucidation.candidates import unique_molecules
from mmspec_ds.systems.elucidation.constrained import make_constraint
from mmspec_ds.systems.elucidation.model import Elucidator

BEAM, SHOWN = 5, 3


@dataclass(frozen=True)
class Proposal:
    """A proposed molecule and its score, the log probability of its spellings that were found; `right` if it is
    the true one, stereochemistry included."""

    smiles: str
    score: float
    right: bool


@dataclass(frozen=True)
class Example:
    """A molecule's name and true structure, and the structures proposed for it, best first."""

    id: str
    truth: str
    proposals: tuple[Proposal, ...]

    @property
    def rank(self) -> int | None:
        """The rank, from 1, of the true structure; None where it is not among the proposals."""
        return next((rank for rank, one in enumerate(self.proposals, 1) if one.right), None)

    def to_json(self) -> dict[str, Any]:
        """The attributes in JSON's types."""
        return asdict(self)


def propose(
    model: Elucidator,
    spectra: SpectraBatch,
    molecules: Sequence[tuple[str, str]],
    vocabulary: Vocabulary,
) -> list[Example]:
    """Search for the structures of a few molecules.

    Ranks that share experts must all call this with the same spectra.

    Args:
        model: in any mode.
        spectra: of the molecules.
        molecules: name and true structure of each.
        vocabulary: of the model's output.
    """
    nothing_known, device = [None] * len(molecules), spectra.modality_BS.device
    constraint = make_constraint(vocabulary, nothing_known, model.decoder.max_tokens, device)
    with torch.no_grad():
        found = beam_search(model, spectra, beam=BEAM, n_best=BEAM, length_penalty=0.0, constraint=constraint)
    examples = []
    for (name, truth), candidates in zip(molecules, found):
        written = (("".join(vocabulary.decode(one.tokens)), one.score) for one in candidates if one.finished)
        best = unique_molecules(written).molecules[:SHOWN]
        proposals = (Proposal(one.smiles, one.log_probability, one.smiles == truth) for one in best)
        examples.append(Example(name, truth, tuple(proposals)))
    return examples


def picture(examples: Sequence[Example]) -> Image.Image:
    """A row for each molecule: its structure, then the proposals, framed green where right, else red."""
    rows = [
        [
            Panel(example.truth, example.id, TRUE),
            *(
                Panel(one.smiles, f"{'right' if one.right else 'wrong'}   {one.score:.3f}", _colour(one))
                for one in example.proposals
            ),
        ]
        for example in examples
    ]
    return draw_panels(rows, ("true structure", *(f"proposal {n}" for n in range(1, SHOWN + 1))))


def table(examples: Sequence[Example]) -> str:
    """A table of the examples in Markdown."""
    lines = ["| molecule | true structure | found | proposals (score) |", "|---|---|---|---|"]
    for one in examples:
        found = "no" if one.rank is None else f"at rank {one.rank}"
        proposals = ", ".join(f"`{p.smiles}` ({p.score:.3f})" for p in one.proposals)
        lines.append(f"| {one.id} | `{one.truth}` | {found} | {proposals} |")
    return "\n".join(lines)


def _colour(one: Proposal) -> tuple[int, int, int]:
    return RIGHT if one.right else WRONG
