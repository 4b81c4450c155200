"""Spec2Vec (Huber et al. 2021, PLoS Comput Biol 17, e1008724): a baseline that is trained on the same spectra.

A spectrum is a document, its peaks and its neutral losses are the words, and word2vec (Mikolov et al. 2013)
learns a vector for each. The vector of a spectrum is the sum of those of its words, weighted by the square root
of the intensity. The settings are those of the paper.
"""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from pydantic import Field

from mmspec_ds.errors import UserError
from mmspec_ds.library.references import mass_spectra
from mmspec_ds.settings import Settings
from mmspec_ds.spectra.records import Record, TandemMS

if TYPE_CHECKING:
    from gensim.models import Word2Vec

FloatMatrix = npt.NDArray[np.float32]
Word = tuple[str, float]
"""A word and the intensity of its peak, between 0 and 1."""

WINDOW = 500
"""Words around a word that are its context. Nearly every spectrum has fewer, so their order does not matter."""

DECAY_PER_EPOCH = 0.00025
FIRST_RATE = 0.025
_EMBEDDED_AT_ONCE = 1000


class Spec2VecSettings(Settings):
    """How words are made and learned.

    Attributes:
        decimals: of the m/z in a word.
        noise: peaks below this share of the largest are left out.
        smallest_loss: neutral losses of less are no words, in Da.
        largest_loss: neutral losses of more are no words, in Da. Without a precursor there are no losses.
        width: of the vectors.
        epochs: passes over the training spectra.
        seed: of the learning; with one thread two trainings give the same vectors.
    """

    decimals: int = Field(default=2, ge=0, le=4)
    noise: float = Field(default=0.01, ge=0, lt=1)
    smallest_loss: float = Field(default=5.0, ge=0)
    largest_loss: float = Field(default=200.0, gt=0)
    width: int = Field(default=300, gt=0)
    epochs: int = Field(default=15, gt=0, le=99)
    seed: int = Field(default=0, ge=0)


def words_of(record: Record, settings: Spec2VecSettings) -> list[Word]:
    """The words of the first mass spectrum of a record, such as "peak@105.03" and "loss@18.01"; none without
    one."""
    spectrum = next(iter(mass_spectra(record)), None)
    if spectrum is None or not len(spectrum.mz) or not spectrum.intensity.max() > 0:
        return []
    share = spectrum.intensity / spectrum.intensity.max()
    kept = share >= settings.noise
    mz, share = spectrum.mz[kept], share[kept]
    words = [(f"peak@{place:.{settings.decimals}f}", float(weight)) for place, weight in zip(mz, share)]
    precursor = spectrum.precursor_mz if isinstance(spectrum, TandemMS) else None
    if precursor is not None:
        losses = precursor - mz
        inside = (losses >= settings.smallest_loss) & (losses <= settings.largest_loss)
        words += [
            (f"loss@{loss:.{settings.decimals}f}", float(weight))
            for loss, weight in zip(losses[inside], share[inside])
        ]
    return words


class Spec2Vec:
    """A trained model; an `Embedder`.

    Attributes:
        name: "Spec2Vec".
        identity: a checksum of its words and vectors.
        width: of the vectors.
    """

    name = "Spec2Vec"

    def __init__(self, model: "Word2Vec", settings: Spec2VecSettings) -> None:
        self.settings = settings
        self.width = settings.width
        self._places: dict[str, int] = model.wv.key_to_index
        self._vectors: FloatMatrix = np.asarray(model.wv.vectors, dtype=np.float32)
        told = hashlib.sha256("\n".join(model.wv.index_to_key).encode())
        told.update(self._vectors.tobytes())
        self.identity = told.hexdigest()

    def embed(self, records: Sequence[Record], progress: Callable[[int], None] | None = None) -> FloatMatrix:
        """The vectors [N, width] of N records, of length 1; zeros for a record none of whose words is known."""
        found = np.zeros((len(records), self.width), dtype=np.float32)
        for at, record in enumerate(records):
            words = [(self._places[word], weight) for word, weight in self._known(record)]
            if words:
                places, weights = zip(*words)
                total = np.sqrt(np.array(weights, dtype=np.float32)) @ self._vectors[list(places)]
                length = float(np.linalg.norm(total))
                found[at] = total / length if length else total
            if progress is not None and (at + 1) % _EMBEDDED_AT_ONCE == 0:
                progress(at + 1)
        return found

    def _known(self, record: Record) -> Iterator[Word]:
        return (one for one in words_of(record, self.settings) if one[0] in self._places)


def train_spec2vec(
    records: Sequence[Record],
    settings: Spec2VecSettings | None = None,
    progress: Callable[[int], None] | None = None,
) -> Spec2Vec:
    """Learn the vectors of words from the spectra of a training set.

    Continuous bag of words, five negative samples, every word that occurs; the rate falls from 0.025 by 0.00025
    an epoch.

    Args:
        records: whose first mass spectra are learned from.
        settings: of words and learning.
        progress: called with the number of epochs that are done.

    Raises:
        UserError: gensim is not installed, or no record has a mass spectrum.
    """
    settings = settings or Spec2VecSettings()
    try:
        from gensim.models import Word2Vec
        from gensim.models.callbacks import CallbackAny2Vec
    except ImportError:
        raise UserError("Spec2Vec needs gensim: pip install 'mmspec-ds[baselines]'") from None
    documents = [[word for word, _ in words_of(record, settings)] for record in records]
    documents = [document for document in documents if document]
    if not documents:
        raise UserError(f"Spec2Vec: none of {len(records)} training records has a mass spectrum with peaks")

    class Told(CallbackAny2Vec):
        """Reports each epoch."""

        done = 0

        def on_epoch_end(self, model: "Word2Vec") -> None:
            self.done += 1
            if progress is not None:
                progress(self.done)

    model = Word2Vec(
        documents,
        callbacks=[Told()],
        sg=0,
        negative=5,
        vector_size=settings.width,
        window=WINDOW,
        min_count=1,
        alpha=FIRST_RATE,
        min_alpha=FIRST_RATE - settings.epochs * DECAY_PER_EPOCH,
        epochs=settings.epochs,
        seed=settings.seed,
        workers=1,
    )
    return Spec2Vec(model, settings)
