"""Axes: B samples, L target places, K beams."""

import pytest
import torch


def test_a_token_changes_no_logits_before_it(workshop) -> None:
    model = workshop.model()
    encoded = model.encode(workshop.spectra(workshop.samples(2)))
    target_BL = torch.randint(3, 11, (2, 8), generator=torch.Generator().manual_seed(0))
    before = model.decoder(target_BL, encoded.hidden_BSD, encoded.mask_BS)
    for place in range(8):
        changed = target_BL.clone()
        changed[:, place] = (changed[:, place] + 1) % 11
        after = model.decoder(changed, encoded.hidden_BSD, encoded.mask_BS)
        assert torch.equal(after[:, :place], before[:, :place])
        assert (after[:, place:] - before[:, place:]).abs().amax(dim=(0, 2)).min().item() > 1e-6


def test_padding_of_the_memory_and_of_the_target_changes_nothing(workshop) -> None:
    model, samples = workshop.model(), workshop.samples(3)
    target_BL = torch.randint(3, 11, (3, 6), generator=torch.Generator().manual_seed(0))
    padded = torch.nn.functional.pad(target_BL, (0, 4))
    plain, wide = model.encode(workshop.spectra(samples)), model.encode(workshop.spectra(samples, padding=7))
    expected = model.decoder(target_BL, plain.hidden_BSD, plain.mask_BS)
    found = model.decoder(padded, wide.hidden_BSD, wide.mask_BS)[:, :6]
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-12)


def test_steps_with_reordered_and_dropped_hypotheses_equal_the_whole_forward(workshop) -> None:
    model = workshop.model()
    encoded = model.encode(workshop.spectra(workshop.samples(3)))
    source = torch.Generator().manual_seed(0)
    cache = model.decoder.start(encoded.hidden_BSD, encoded.mask_BS, beams=4, capacity=9)
    samples, prefix_BKL = torch.arange(3), torch.empty(3, 4, 0, dtype=torch.int64)
    for length in range(9):
        tokens_BK = torch.randint(3, 11, prefix_BKL.shape[:2], generator=source)
        prefix_BKL = torch.cat([prefix_BKL, tokens_BK.unsqueeze(2)], dim=2)
        found = model.decoder.step(tokens_BK, cache)
        memory, mask = encoded.hidden_BSD[samples], encoded.mask_BS[samples]
        expected = [model.decoder(prefix_BKL[:, beam], memory, mask)[:, -1] for beam in range(4)]
        torch.testing.assert_close(found, torch.stack(expected, dim=1), rtol=1e-11, atol=1e-11)
        parents_BK = torch.randint(0, 4, tokens_BK.shape, generator=source)
        cache.reorder(parents_BK)
        prefix_BKL = torch.stack([row[parents] for row, parents in zip(prefix_BKL, parents_BK)])
        if length in (3, 6):
            remaining = torch.tensor([0, 2] if length == 3 else [1])
            cache.keep(remaining)
            samples, prefix_BKL = samples[remaining], prefix_BKL[remaining]


def test_the_memory_is_kept_once_per_sample(workshop) -> None:
    model = workshop.model()
    encoded = model.encode(workshop.spectra(workshop.samples(3)))
    cache = model.decoder.start(encoded.hidden_BSD, encoded.mask_BS, beams=10, capacity=5)
    places = encoded.hidden_BSD.shape[1]
    assert {layer.memory.keys_BHSC.shape for layer in cache.layers} == {(3, 2, places, 8)}


def test_a_target_that_is_too_long_is_refused(workshop) -> None:
    model = workshop.model()
    encoded = model.encode(workshop.spectra(workshop.samples(1)))
    with pytest.raises(
        ValueError, match="a target of 13 tokens is longer than the model's max_target_tokens, 12"
    ):
        model.decoder(torch.ones(1, 13, dtype=torch.int64), encoded.hidden_BSD, encoded.mask_BS)
    with pytest.raises(ValueError, match="a target of 13 tokens"):
        model.decoder.start(encoded.hidden_BSD, encoded.mask_BS, beams=1, capacity=13)
