"""What several dialogues begin with, such as examples that are shown: a model needs to read it once."""

from collections.abc import Sequence

import numpy as np

from mmspec_ds.systems.alignment.prompt import SOFT, Prompt, TokenRow, Turn


def shared_beginnings(prompts: Sequence[Prompt], rows: Sequence[TokenRow]) -> list[tuple[int, ...]]:
    """Of each prompt the ids with which all begin that have the same turns before the last one; none where no
    other has these, or where there is no turn before the last. They hold no place of an object, and one id at
    least of each prompt comes after them.

    Args:
        prompts: questions or dialogues.
        rows: as tokens.
    """
    families: dict[tuple[Turn, ...], list[int]] = {}
    for at, prompt in enumerate(prompts):
        if not isinstance(prompt, str) and len(prompt) > 1:
            families.setdefault(tuple(prompt[:-1]), []).append(at)
    found: list[tuple[int, ...]] = [()] * len(prompts)
    for places in families.values():
        if len(places) > 1:
            beginning = _common([rows[at] for at in places])
            for at in places:
                found[at] = beginning
    return found


def _common(rows: Sequence[TokenRow]) -> tuple[int, ...]:
    most = min(map(len, rows)) - 1
    ids = np.stack([row.ids[:most] for row in rows])
    same = (ids == ids[0]).all(0) & (ids[0] != SOFT)
    count = most if same.all() else int(same.argmin())
    return tuple(ids[0][:count].tolist())
