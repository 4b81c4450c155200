"""Answers written token by token, with the keys and values of what was read kept.

Axes: B prompts, L positions, W width of the language model, V tokens of its vocabulary, C choices.
"""

from collections.abc import Callable, Sequence
from copy import deepcopy
from typing import Any

import numpy as np
import torch
from torch import Tensor

from mmspec_ds.systems.alignment.decoding import Decoding
from mmspec_ds.systems.alignment.frozen_language import FrozenLanguage


class Reading:
    """Prompts that a language model has read, all ending at the same place.

    Args:
        language: reads them.
        embedded_BLW: input embeddings, padding before the prompts.
        mask_BL: True where there is a token.
        before: one prompt that was read before, which all of these go on; it stays as it is.

    Attributes:
        log_p_BV: of the next token of each prompt.
        cache: keys and values, of transformers.
    """

    @torch.no_grad()
    def __init__(
        self,
        language: FrozenLanguage,
        embedded_BLW: Tensor,
        mask_BL: Tensor,
        before: "Reading | None" = None,
    ) -> None:
        from transformers import DynamicCache

        self.language, self.mask = language, mask_BL.long()
        positions = (self.mask.cumsum(1) - 1).clamp_min(0)
        if before is None:
            self.cache: Any = DynamicCache(config=language.model.config)
        else:
            self.cache = deepcopy(before.cache)
            self.cache.batch_repeat_interleave(len(mask_BL))
            self.mask = torch.cat([before.mask.expand(len(mask_BL), -1), self.mask], 1)
            positions = positions + before.next_B
        self.next_B: Tensor = self.mask.sum(1)
        states = language.states(embedded_BLW, mask=self.mask, positions_BL=positions, cache=self.cache)
        self.log_p_BV = language.log_probabilities(states[:, -1])

    @torch.no_grad()
    def read(self, ids_BL: Tensor) -> Tensor:
        """Read further tokens of each prompt; the log-probabilities after each of them, [B, L, V]."""
        count = ids_BL.shape[1]
        positions = self.next_B[:, None] + torch.arange(count, device=ids_BL.device)
        self.mask = torch.cat([self.mask, self.mask.new_ones(ids_BL.shape)], 1)
        self.next_B = self.next_B + count
        states = self.language.states(
            self.language.embed(ids_BL), mask=self.mask, positions_BL=positions, cache=self.cache
        )
        found = self.language.log_probabilities(states)
        self.log_p_BV = found[:, -1]
        return found

    def repeated(self, times: int) -> None:
        """Every prompt `times` times, one after the other."""
        self.cache.batch_repeat_interleave(times)
        self.mask = self.mask.repeat_interleave(times, 0)
        self.next_B = self.next_B.repeat_interleave(times, 0)
        self.log_p_BV = self.log_p_BV.repeat_interleave(times, 0)


def generate(
    reading: Reading,
    stop_ids: Sequence[int],
    decoding: Decoding,
    *,
    numbers: Sequence[int] | None = None,
    see: Callable[[int, list[int]], None] = lambda prompt, ids: None,
) -> list[list[int]]:
    """The ids of an answer to each prompt, its end left out.

    Args:
        reading: the prompts.
        stop_ids: tokens that end an answer.
        decoding: how tokens are chosen.
        numbers: of the prompts, for the draws; their places without.
        see: given the place of a prompt and its ids so far, as each token comes.
    """
    prompts, device = len(reading.log_p_BV), reading.log_p_BV.device
    answers: list[list[int]] = [[] for _ in range(prompts)]
    draws = [
        torch.Generator().manual_seed(_seed(decoding.seed, number)) for number in numbers or range(prompts)
    ]
    going = [True] * prompts
    for step in range(decoding.max_new_tokens):
        chosen = _chosen(reading.log_p_BV, decoding, draws)
        for at, token in enumerate(chosen):
            going[at] = going[at] and token not in stop_ids
            if going[at]:
                answers[at].append(token)
                see(at, answers[at])
        if not any(going) or step + 1 == decoding.max_new_tokens:
            break
        reading.read(torch.tensor(chosen, device=device)[:, None])
    return answers


def _seed(seed: int, number: int) -> int:
    return int(np.random.SeedSequence((seed, number)).generate_state(1, np.uint64)[0] >> 1)


def _chosen(log_p_BV: Tensor, decoding: Decoding, draws: Sequence[torch.Generator]) -> list[int]:
    if not decoding.temperature:
        return [int(token) for token in log_p_BV.argmax(-1)]
    p_BV = (log_p_BV / decoding.temperature).softmax(-1).cpu()
    found = []
    for p_V, draw in zip(p_BV, draws):
        sorted_V, order_V = p_V.sort(descending=True, stable=True)
        before_V = sorted_V.cumsum(0) - sorted_V
        kept_V = sorted_V * (before_V < decoding.top_p)
        found.append(int(order_V[torch.multinomial(kept_V, 1, generator=draw)]))
    return found


def choice_log_probabilities(reading: Reading, choices: Sequence[Sequence[int]]) -> Tensor:
    """How likely each choice is as the whole answer to each prompt, natural logarithms [B, C]. The reading is
    of no further use.

    Args:
        reading: the prompts.
        choices: the ids of each, its end included.
    """
    log_p_BV, count = reading.log_p_BV, len(choices)
    first = torch.tensor([one[0] for one in choices], device=log_p_BV.device)
    found_BC = log_p_BV[:, first]
    longest = max(map(len, choices))
    if longest == 1:
        return found_BC
    prompts = len(log_p_BV)
    reading.repeated(count)
    padded = torch.tensor([[*one, *[0] * (longest - len(one))] for one in choices], device=log_p_BV.device)
    kept_CL = (
        torch.arange(longest - 1, device=log_p_BV.device)
        < torch.tensor([len(one) - 1 for one in choices], device=log_p_BV.device)[:, None]
    )
    after = reading.read(padded[:, :-1].repeat(prompts, 1)).unflatten(0, (prompts, count))
    following = padded[:, 1:].expand(prompts, -1, -1)
    rest = after.gather(-1, following[..., None]).squeeze(-1)
    return found_BC + (rest * kept_CL).sum(-1)
