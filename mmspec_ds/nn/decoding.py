"""Step-by-step decoding for a search, with a cache of keys and values or without.

Axes: B samples still searched, K hypotheses of each, L tokens so far, S positions of the encoder, V vocabulary.
"""

from collections.abc import Iterator
from typing import Protocol, Self

import torch
from torch import Tensor, nn

from mmspec_ds.data.batch import SpectraBatch
from mmspec_ds.nn.decoder import Decoder
from mmspec_ds.nn.encoder import EncoderOutput


class EncoderDecoder(Protocol):
    """A module that encodes spectra once and writes tokens step by step."""

    decoder: Decoder

    def encode(self, spectra: SpectraBatch) -> EncoderOutput:
        """A state for each token of the spectra."""
        ...

    def modules(self) -> Iterator[nn.Module]:
        """All modules, as `nn.Module` lists them."""
        ...

    def eval(self) -> Self:
        """Switch to evaluation mode, as `nn.Module`."""
        ...


class Decoding(Protocol):
    """K growing hypotheses of each of B samples; K may change from step to step."""

    def logits(self, tokens_BK: Tensor) -> Tensor:
        """Append a token to each hypothesis (BOS first); logits of the next one, [B, K, V]."""
        ...

    def reorder(self, parents_BK: Tensor) -> None:
        """Make hypothesis k of sample b a copy of its hypothesis `parents_BK[b, k]`."""
        ...

    def keep(self, samples: Tensor) -> None:
        """Continue with the samples of these numbers only, in this order."""
        ...


class CachedDecoding:
    """Each step computes one new token per hypothesis from the keys and values of those before it."""

    def __init__(self, decoder: Decoder, encoded: EncoderOutput, *, beams: int, max_tokens: int) -> None:
        self._decoder = decoder
        self._cache = decoder.start(encoded.hidden_BSD, encoded.mask_BS, beams=beams, capacity=max_tokens)

    def logits(self, tokens_BK: Tensor) -> Tensor:
        """Append a token to each hypothesis (BOS first); logits of the next one, [B, K, V]."""
        return self._decoder.step(tokens_BK, self._cache)

    def reorder(self, parents_BK: Tensor) -> None:
        """Make hypothesis k of sample b a copy of its hypothesis `parents_BK[b, k]`."""
        self._cache.reorder(parents_BK)

    def keep(self, samples: Tensor) -> None:
        """Continue with the samples of these numbers only, in this order."""
        self._cache.keep(samples)


class PrefixDecoding:
    """Each step runs the whole prefix through `Decoder.forward`: slow, and the reference for the cache."""

    def __init__(self, decoder: Decoder, encoded: EncoderOutput) -> None:
        self._decoder = decoder
        self._memory_BSD, self._mask_BS = encoded.hidden_BSD, encoded.mask_BS
        self._prefix_BKL: Tensor | None = None

    def logits(self, tokens_BK: Tensor) -> Tensor:
        """Append a token to each hypothesis (BOS first); logits of the next one, [B, K, V]."""
        before = [] if self._prefix_BKL is None else [self._prefix_BKL]
        self._prefix_BKL = torch.cat([*before, tokens_BK.unsqueeze(2)], dim=2)
        samples, beams, _ = self._prefix_BKL.shape
        logits = self._decoder(
            self._prefix_BKL.flatten(0, 1),
            self._memory_BSD.repeat_interleave(beams, dim=0),
            self._mask_BS.repeat_interleave(beams, dim=0),
        )
        return logits[:, -1].unflatten(0, (samples, beams))

    def reorder(self, parents_BK: Tensor) -> None:
        """Make hypothesis k of sample b a copy of its hypothesis `parents_BK[b, k]`."""
        assert self._prefix_BKL is not None, "there is nothing to reorder before the first step"
        self._prefix_BKL = self._prefix_BKL.take_along_dim(parents_BK.unsqueeze(2), dim=1)

    def keep(self, samples: Tensor) -> None:
        """Continue with the samples of these numbers only, in this order."""
        if self._prefix_BKL is not None:
            self._prefix_BKL = self._prefix_BKL[samples]
        self._memory_BSD, self._mask_BS = self._memory_BSD[samples], self._mask_BS[samples]
