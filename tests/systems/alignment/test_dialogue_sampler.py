"""Which questions come into a dialogue, and which dialogues into a batch."""

import numpy as np
import pytest

from mmspec_ds.systems.alignment.dialogue_sampler import Dialogue, DialogueSampler
from mmspec_ds.systems.alignment.together import EVERYTHING

OBJECTS = np.repeat(np.arange(30), 7)
PROPERTIES = [
    frozenset({name}) for name in ("composition", "composition", "rings", "ester", "thiol", "stereo")
] + [EVERYTHING]
FIRST = np.random.default_rng(0).integers(20, 40, len(OBJECTS))
LATER = FIRST - 6


def sampler(most: int = 4, longest: int = 1000, size: int = 8) -> DialogueSampler:
    return DialogueSampler(OBJECTS, PROPERTIES * 30, FIRST, LATER, most, longest, size, seed=5)


def test_every_question_once_and_batches_that_are_full() -> None:
    found = sampler()
    batches = found.round(0)
    assert len(batches) == len(found) == 210 // 8
    assert all(sum(map(len, batch)) == 8 for batch in batches)
    asked = [at for batch in batches for one in batch for at in one]
    assert len(set(asked)) == len(asked) == 208
    padding = np.mean([max(map(found.tokens, one)) * len(one) / sum(map(found.tokens, one)) for one in batches])
    assert padding < 1.3


def test_a_dialogue_is_about_one_object_and_no_answer_decides_another() -> None:
    dialogues = [one for batch in sampler().round(0) for one in batch]
    sizes = [len(one) for one in dialogues]
    assert max(sizes) == 4
    for one in dialogues:
        assert len({OBJECTS[at] for at in one}) == 1
        told = [name for at in one for name in PROPERTIES[at % 7]]
        assert len(set(told)) == len(told)
        assert "everything" not in told or len(one) == 1
        assert "composition" not in told[:-1]
    # Of the seven questions of an object the description and one about its composition cannot join; the other
    # five make a dialogue of four and a pair with the second about the composition, or are cut by a batch.
    assert 3 * 30 <= len(dialogues) <= 3 * 30 + 26 * 2


def test_questions_by_themselves_and_tokens_at_most() -> None:
    assert all(len(one) == 1 for batch in sampler(most=1).round(0) for one in batch)
    found = sampler(longest=75)
    dialogues = [one for batch in found.round(0) for one in batch]
    assert {1, 2} <= {len(one) for one in dialogues}
    assert max(map(found.tokens, dialogues)) <= 75


def test_rounds_differ_and_come_again() -> None:
    one, again, other = sampler().round(0), sampler().round(0), sampler().round(1)
    assert one == again
    assert one != other


def test_a_dialogue_that_does_not_fit_goes_on_in_the_next_batch() -> None:
    alone = [frozenset({str(at)}) for at in range(4)]
    zeros, tens = np.zeros(4, dtype=np.int64), np.full(4, 10)
    found = DialogueSampler(zeros, alone, tens, tens - 3, 3, 100, 2, seed=0).round(0)
    sizes: list[list[int]] = [[len(one) for one in batch] for batch in found]
    assert sorted(sizes) in ([[1, 1], [2]], [[2], [1, 1]])
    asked: list[Dialogue] = [one for batch in found for one in batch]
    assert sorted(at for one in asked for at in one) == [0, 1, 2, 3]


def test_a_batch_that_is_never_full_is_told() -> None:
    with pytest.raises(ValueError, match="a batch of 300 examples is more than there are, 210"):
        sampler(size=300)
