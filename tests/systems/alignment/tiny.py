"""The smallest alignment: a language model of two layers that reads bytes, an encoder of letters, and a folder
of a model that was never trained."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field

from mmspec_ds.settings import Settings
from mmspec_ds.systems.alignment.factory import ENCODERS, make_model, shape_of, shapes_to_json
from mmspec_ds.systems.alignment.frozen_language import FrozenLanguage
from mmspec_ds.systems.alignment.model import AlignmentModel
from mmspec_ds.systems.alignment.neighbours import NEIGHBOURS, Described, checksum_of, write_known
from mmspec_ds.systems.alignment.objects import Kind, Molecule, Object, Protein
from mmspec_ds.systems.alignment.run_settings import AlignmentRun
from mmspec_ds.trainer.weights import WEIGHTS, write_weights
from tests.language.tiny_language_model import make_model as make_language

MARKS = ("<|endoftext|>", "<|im_start|>", "<|im_end|>")


def byte_tokenizer(marks: Sequence[str] = MARKS) -> Any:
    """A token for every byte, one merge, and the marks of a chat format as special tokens."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers

    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {letter: at for at, letter in enumerate([*letters, "es"])}
    made = Tokenizer(models.BPE(vocabulary, [("e", "s")]))
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    made.add_special_tokens(list(marks))
    return made


def save_language(folder: Path, seed: int = 0, marks: Sequence[str] = MARKS, **changes: Any) -> Path:
    """Write the folder of such a language model."""
    tokenizer = byte_tokenizer(marks)
    end = tokenizer.token_to_id("<|endoftext|>")
    model = make_language(
        seed, vocab_size=tokenizer.get_vocab_size(), eos_token_id=end, max_position_embeddings=512, **changes
    )
    model.save_pretrained(folder)
    tokenizer.save(str(folder / "tokenizer.json"))
    return folder


class LetterOptions(Settings):
    """How many letters of the alphabet an object is described by."""

    letters: int = Field(6, ge=1)


class LetterEncoder:
    """How often each of the first letters stands in a SMILES or a sequence: [N, 2, letters], of the first and
    of the second half."""

    Options = LetterOptions
    kind: Kind = "molecule"
    vectors = 2

    def __init__(self, options: LetterOptions) -> None:
        self.width = options.letters
        self.name = "letters"
        self.identity: Mapping[str, Any] = {"letters": options.letters}

    def encode(self, objects: Sequence[Object]) -> NDArray[np.float32]:
        """See `ObjectEncoder`."""
        found = np.zeros((len(objects), 2, self.width), dtype=np.float32)
        for at, one in enumerate(objects):
            assert isinstance(one, Molecule | Protein)
            text = one.smiles if isinstance(one, Molecule) else one.sequence
            half = len(text) // 2
            for part, piece in enumerate((text[:half], text[half:])):
                for letter in range(self.width):
                    found[at, part, letter] = piece.upper().count("CNOSFP"[letter % 6])
        return found


class ProteinLetterEncoder(LetterEncoder):
    """The same for proteins."""

    kind: Kind = "protein"


_HERE = "tests.systems.alignment.tiny"


def run_content(base: Path, /, **blocks: Any) -> dict[str, Any]:
    """A run file; each argument replaces keys of a block, or a whole value."""
    content: dict[str, Any] = {
        "system": "alignment",
        "name": "run",
        "engine": "zero0.json",
        "language": {"base": str(base), "longest": 256},
        "encoders": {
            "molecule": {"name": f"{_HERE}:LetterEncoder"},
            "protein": {"name": f"{_HERE}:ProteinLetterEncoder", "options": {"letters": 4}},
        },
        "projection": {"hidden": 16, "soft_tokens": 2, "dropout": 0.0},
        "objective": {"layer": 1},
        "training": {"batch_size": 4, "steps": 4},
    }
    for name, value in blocks.items():
        content[name] = content.get(name, {}) | value if isinstance(value, dict) else value
    return content


def make_run(base: Path, /, **blocks: Any) -> AlignmentRun:
    """Such a run."""
    return AlignmentRun.model_validate(run_content(base, **blocks))


ENCODER_CLASSES = {
    "molecule": LetterEncoder(LetterOptions()),
    "protein": ProteinLetterEncoder(LetterOptions(letters=4)),
}


def make_tiny(run: AlignmentRun, seed: int = 0) -> AlignmentModel:
    """The model of a run, its projections drawn from a seed."""
    torch.manual_seed(seed)
    shapes = {kind: shape_of(ENCODER_CLASSES[kind]) for kind in run.encoders}
    model = make_model(run, FrozenLanguage(run.language.base, run.language.precision), shapes)
    vectors = {
        kind: torch.randn(8, one.vectors, one.width, generator=torch.Generator().manual_seed(1))
        for kind, one in shapes.items()
    }
    model.fit(vectors)
    return model.eval()


def save_trained(
    folder: Path, language: Path, /, known: Sequence[Described] = (), **blocks: Any
) -> AlignmentModel:
    """Write the folder of a model that was never trained, as a run leaves it; with known molecules where the
    run has `neighbour`."""
    run = make_run(language, **blocks)
    model = make_tiny(run)
    folder.mkdir(parents=True)
    if run.neighbour is not None:
        states = torch.zeros(len(known), model.language.width) if run.neighbour.compared else None
        model.keep_neighbours(checksum_of(known), states)
        write_known(folder / NEIGHBOURS, known)
    (folder / "config.yaml").write_text(run.to_yaml())
    (folder / ENCODERS).write_text(json.dumps(shapes_to_json(model.encoders)))
    write_weights(model.state_dict(), folder / WEIGHTS)
    return model
