"""Descriptions of molecules that are put together of those of similar known molecules.

Axes: N molecules, M known ones, W width of the language model.
"""

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from mmspec_ds.molecules.fingerprints import mean_similarities, several_fingerprints
from mmspec_ds.systems.alignment.neighbours import AT_ONCE, Described, asked_molecules, identity_of
from mmspec_ds.systems.alignment.objects import Molecule, Object
from mmspec_ds.systems.alignment.prompt import Prompt
from mmspec_ds.systems.alignment.recombined import recombined
from mmspec_ds.systems.alignment.run_settings import NeighbourSettings

FloatMatrix = npt.NDArray[np.float64]

BESIDES = -1e9
"""Instead of the similarity of a known molecule that is the asked one itself or another form of it."""


class SimilarDescriptions:
    """Describes molecules by the sentences of what the most similar known ones have.

    Args:
        known: molecules with their descriptions, one at least.
        settings: how many are taken, and how they are weighed.
    """

    def __init__(self, known: Sequence[Described], settings: NeighbourSettings) -> None:
        self._texts, self._settings = [one.description for one in known], settings
        self._prints = several_fingerprints([one.smiles for one in known])
        self._group = np.array([one.group for one in known])

    def asked(
        self,
        prompts: Sequence[Prompt],
        objects: Sequence[Sequence[Object]],
        compared: Callable[[Sequence[Object]], FloatMatrix | None],
    ) -> dict[int, str]:
        """Descriptions for the prompts that ask for that of a molecule, by their places.

        Args:
            prompts: questions or dialogues.
            objects: of each.
            compared: makes the cosines of `answers` for molecules.
        """
        asked = asked_molecules(prompts, objects)
        if not asked:
            return {}
        cosine_NM = compared([Molecule(one) for one in asked.values()])
        return dict(zip(asked, self.answers(list(asked.values()), cosine_NM)))

    def answers(self, smiles: Sequence[str], cosine_NM: FloatMatrix | None = None) -> list[str]:
        """A description of each molecule; never of its own words, nor of another form of it with the same first
        block of the InChIKey.

        Args:
            smiles: N molecules.
            cosine_NM: by which a trained model compares them with the known descriptions; without, the
                similarity of the molecules decides alone.
        """
        found = []
        for start in range(0, len(smiles), AT_ONCE):
            scores = self._scores(smiles[start : start + AT_ONCE])
            if cosine_NM is not None:
                scores += self._settings.contrast * cosine_NM[start : start + AT_ONCE]
            found += [self._answer(row) for row in scores]
        return found

    def _scores(self, smiles: Sequence[str]) -> FloatMatrix:
        similarity = mean_similarities(several_fingerprints(smiles), self._prints).astype(np.float64)
        identities = [identity_of(one) for one in smiles]
        groups = np.array(["" if one is None else one.group for one in identities])
        similarity[groups[:, None] == self._group] = BESIDES
        return similarity

    def _answer(self, score_M: FloatMatrix) -> str:
        best = np.argsort(-score_M, kind="stable")[: self._settings.count]
        best = best[score_M[best] > BESIDES / 2]
        if not len(best):
            return ""
        weights = np.exp((score_M[best] - score_M[best[0]]) / self._settings.temperature)
        return recombined([self._texts[at] for at in best], (weights / weights.sum()).tolist())
