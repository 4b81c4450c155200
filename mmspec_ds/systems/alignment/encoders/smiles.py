"""Molecules by a small Transformer that learnt to restore hidden tokens of SMILES.

Axes: B molecules, S tokens, D width of a state.
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from pydantic import Field
from torch import Tensor, nn

from mmspec_ds.data.batch import PADDING
from mmspec_ds.errors import DataError
from mmspec_ds.molecules.smiles import canonical_smiles, tokenize_smiles
from mmspec_ds.molecules.vocabulary import Vocabulary
from mmspec_ds.nn.encoder import Encoder
from mmspec_ds.nn.feedforward import DenseFeedForward
from mmspec_ds.nn.initialization import init_embedding
from mmspec_ds.nn.model_settings import EncoderSettings
from mmspec_ds.settings import Settings, validated
from mmspec_ds.systems.alignment.encoders.checks import all_of
from mmspec_ds.systems.alignment.encoders.descent import DescentSettings, descend
from mmspec_ds.systems.alignment.encoders.folder import read_encoder, write_encoder
from mmspec_ds.systems.alignment.encoders.spectra import pooled_states
from mmspec_ds.systems.alignment.object_files import read_molecules
from mmspec_ds.systems.alignment.objects import Kind, Molecule, Object
from mmspec_ds.trainer.weights import WEIGHTS, load_state

HIDDEN = 0.15
"""The share of the tokens that is hidden in training, and in the test with molecules that were held back."""
HELD_BACK = 20
"""One molecule in so many is held back."""
LONGEST = 1024
"""Tokens of a SMILES at most."""
_AT_ONCE = 64


class SmilesNetwork(nn.Module):
    """Embedded tokens and places, an encoder, and a layer that names the hidden tokens.

    Args:
        settings: sizes.
        words: of the vocabulary; the id that follows them stands for a hidden token.
    """

    def __init__(self, settings: EncoderSettings, words: int) -> None:
        super().__init__()
        self.hidden_id = words
        self.tokens = init_embedding(nn.Embedding(words + 1, settings.d_model))
        self.places = init_embedding(nn.Embedding(LONGEST, settings.d_model))
        self.encoder = Encoder(settings, lambda layer: DenseFeedForward(settings.d_model, settings.ffn_width))
        self.named = nn.Linear(settings.d_model, words)

    def forward(self, ids_BS: Tensor) -> Tensor:
        """The states of the tokens, [B, S, D]; of ids, int64, PAD where there is no token."""
        modality_BS = torch.where(ids_BS == Vocabulary.PAD, PADDING, 0)
        embedded_BSD = self.tokens(ids_BS) + self.places.weight[: ids_BS.shape[1]]
        states: Tensor = self.encoder(embedded_BSD, modality_BS).hidden_BSD
        return states

    def restored(self, ids_BS: Tensor, generator: torch.Generator | None = None) -> tuple[Tensor, Tensor]:
        """Logits of the X hidden tokens, [X, words], and their ids, [X]. Which are hidden is drawn, each token
        with the same probability, `HIDDEN`."""
        drawn_BS = torch.rand(ids_BS.shape, generator=generator) < HIDDEN
        hidden_BS = drawn_BS & (ids_BS != Vocabulary.PAD)
        states_BSD = self(ids_BS.masked_fill(hidden_BS, self.hidden_id))
        return self.named(states_BSD[hidden_BS]), ids_BS[hidden_BS]


class SmilesOptions(Settings):
    """Which model.

    Attributes:
        path: a folder that `mmspec fit smiles` made.
    """

    path: Path


class SmilesEncoder:
    """One vector for a molecule: the mean of the states of its canonical SMILES' tokens, then the largest value
    of each component. See `ObjectEncoder`."""

    Options = SmilesOptions
    name = "smiles"
    kind: Kind = "molecule"
    vectors = 1

    def __init__(self, options: SmilesOptions) -> None:
        stored = read_encoder(options.path, self.name)
        self._vocabulary = Vocabulary.from_dict(stored.about["vocabulary"])
        settings = EncoderSettings(**stored.about["sizes"])
        self._network = SmilesNetwork(settings, len(self._vocabulary))
        load_state(self._network, stored.tensors, options.path / WEIGHTS)
        self._network.eval()
        self.width = 2 * settings.d_model
        self.folder = options.path
        self.identity: Mapping[str, Any] = {"encoder": self.name, "model": stored.checksum}

    def encode(self, objects: Sequence[Object]) -> NDArray[np.float32]:
        """See `ObjectEncoder`; [N, 1, width]."""
        molecules = all_of(objects, Molecule, self.name)
        found = np.zeros((len(molecules), 1, self.width), dtype=np.float32)
        rows = [self._vocabulary.encode(tokens_of(one.smiles)) for one in molecules]
        order = sorted(range(len(rows)), key=lambda at: len(rows[at]))
        with torch.inference_mode():
            for start in range(0, len(rows), _AT_ONCE):
                chosen = order[start : start + _AT_ONCE]
                ids_BS = padded([rows[at] for at in chosen])
                pooled = pooled_states(self._network(ids_BS), ids_BS != Vocabulary.PAD, maximum=True)
                found[chosen, 0] = pooled.numpy()
        return found


def tokens_of(smiles: str) -> list[str]:
    """The tokens of the canonical SMILES of a molecule.

    Raises:
        DataError: it is no molecule, or longer than `LONGEST`.
    """
    try:
        tokens = tokenize_smiles(canonical_smiles(smiles))
    except ValueError as error:
        raise DataError(str(error)) from None
    if len(tokens) > LONGEST:
        raise DataError(f"molecule {smiles[:40]}... has {len(tokens)} tokens: expected {LONGEST} at most")
    return tokens


def padded(rows: Sequence[Sequence[int]]) -> Tensor:
    """Ids of several lengths as one tensor, int64 [B, S], filled up with PAD; of one row at least."""
    length = max(map(len, rows))
    return torch.tensor([[*row, *[Vocabulary.PAD] * (length - len(row))] for row in rows])


class SmilesFit(DescentSettings):
    """How a model is trained.

    Attributes:
        d_model: D.
        heads: of the attention.
        layers: of the encoder.
        most: molecules that are read, the first of the files.
    """

    d_model: Annotated[int, Field(gt=0)] = 128
    heads: Annotated[int, Field(gt=0)] = 4
    layers: Annotated[int, Field(gt=0)] = 3
    most: Annotated[int, Field(ge=HELD_BACK)] = 50_000
    batch: Annotated[int, Field(gt=0)] = 64

    def fit(self, files: Sequence[Path], folder: Path, progress: Callable[[float], None]) -> str:
        """See `EncoderFit`."""
        sizes = {"d_model": self.d_model, "heads": self.heads, "encoder_layers": self.layers}
        sizes["ffn_width"] = 4 * self.d_model
        settings = validated(EncoderSettings, sizes, f"fit {SmilesEncoder.name}")
        molecules = [one for path in files for one in read_molecules(path)][: self.most]
        if len(molecules) < HELD_BACK:
            raise DataError(f"holds {len(molecules)} molecules: expected {HELD_BACK} or more", path=files[0])
        texts = [tokens_of(one.smiles) for one in molecules]
        held_back = texts[HELD_BACK - 1 :: HELD_BACK]
        learnt = [text for at, text in enumerate(texts) if at % HELD_BACK != HELD_BACK - 1]
        vocabulary = Vocabulary.build(learnt)
        with torch.random.fork_rng(devices=()):
            torch.manual_seed(self.seed)
            network = SmilesNetwork(settings, len(vocabulary))
            rows = sorted((vocabulary.encode(text) for text in learnt), key=len)
            descend(network, self, lambda step: self._loss(network, rows), progress)
            right = _restored(network, [vocabulary.encode(text) for text in held_back])
        about = {"vocabulary": vocabulary.to_dict(), "sizes": sizes, "fit": self.model_dump()}
        write_encoder(folder, SmilesEncoder.name, about, network.state_dict())
        return (
            f"{len(molecules):,} molecules, {len(vocabulary)} tokens; of hidden tokens of {len(held_back):,}"
            f" molecules that were held back, {right:.1%} are restored"
        )

    def _loss(self, network: SmilesNetwork, rows: Sequence[Sequence[int]]) -> Tensor:
        """Of a batch of molecules of like length, which a place among the sorted ones draws."""
        first = int(torch.randint(max(1, len(rows) - self.batch + 1), ()))
        logits, wanted = network.restored(padded(rows[first : first + self.batch]))
        return F.cross_entropy(logits, wanted, reduction="sum") / max(1, len(wanted))


@torch.no_grad()
def _restored(network: SmilesNetwork, rows: Sequence[Sequence[int]]) -> float:
    """The share of hidden tokens whose most probable name is right."""
    right = count = 0
    generator = torch.Generator().manual_seed(0)
    for start in range(0, len(rows), _AT_ONCE):
        logits, wanted = network.restored(padded(rows[start : start + _AT_ONCE]), generator)
        right, count = right + int((logits.argmax(-1) == wanted).sum()), count + len(wanted)
    return right / max(1, count)
