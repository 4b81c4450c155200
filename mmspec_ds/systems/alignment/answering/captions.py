"""Descriptions that others wrote: files with the columns SMILES, ground truth and output, as MolT5 has them."""

from collections.abc import Sequence
from pathlib import Path

from mmspec_ds.errors import DataError
from mmspec_ds.evaluation.bleu import BleuCounts, bleu_counts
from mmspec_ds.molecules.smiles import canonical_smiles
from mmspec_ds.readers.source import read_lines
from mmspec_ds.systems.alignment.answering.methods import DESCRIPTION, Answers
from mmspec_ds.systems.alignment.objects import Example, Molecule

COLUMNS = ("SMILES", "ground truth", "output")


class WrittenDescriptions:
    """What a model wrote, from a file, plain or gzip.

    Args:
        path: tab-separated, the first line names the columns.

    Attributes:
        name: that of the file.
        rows: SMILES, right description, written description.

    Raises:
        DataError: the file cannot be read, or has other columns.
    """

    def __init__(self, path: Path) -> None:
        self.name = path.name.partition(".txt")[0]
        self.rows: list[tuple[str, str, str]] = []
        for line in read_lines(path):
            cells = line.text.split("\t")
            if line.number == 1:
                if tuple(cell.strip() for cell in cells) != COLUMNS:
                    raise DataError(f"line 1: expected the columns {', '.join(COLUMNS)}", path=path)
            elif len(cells) != len(COLUMNS):
                raise DataError(f"line {line.number}: {len(cells)} cells, expected {len(COLUMNS)}", path=path)
            else:
                self.rows.append((cells[0], cells[1], cells[2]))
        if not self.rows:
            raise DataError("has no description", path=path)

    def counts(self) -> BleuCounts:
        """The counts of n-grams of all captions together, for BLEU over the whole file."""
        return bleu_counts([row[2] for row in self.rows], [row[1] for row in self.rows])

    def answers(self, examples: Sequence[Example]) -> Answers:
        """The description of each molecule that the file has; none to other questions."""
        written: dict[str, str] = {}
        for smiles, _, text in self.rows:
            try:
                written.setdefault(canonical_smiles(smiles), text)
            except ValueError:
                continue
        return [
            written.get(one.objects[0].smiles)
            if one.task == DESCRIPTION and len(one.objects) == 1 and isinstance(one.objects[0], Molecule)
            else None
            for one in examples
        ]
