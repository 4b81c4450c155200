"""Tokens become vectors: alike with and without a gradient, and whatever else is in the batch."""

import math

import pytest
import torch

from mmspec_ds.nn.token_embedding import TokenEmbedding
from mmspec_ds.spectra.axes import Axis, Form
from mmspec_ds.systems.fusion.batch import STEPS_A, Pieces, lay_out
from mmspec_ds.systems.fusion.embedding import embed_pieces
from mmspec_ds.systems.fusion.tokens import Points, peaks

CARBON = peaks([20.0, 128.5], [1.0, 0.5], Axis.C_PPM, 4)
CROSS = peaks([60.0], [-1.0], Axis.C_PPM, 4, second_T=[3.5], extent=0.1, sign=-1.0)


def embedding() -> TokenEmbedding:
    torch.manual_seed(0)
    return TokenEmbedding(8, 4, 16, 0.5)


def pieces(*points: Points) -> Pieces:
    return lay_out(points)


@pytest.mark.parametrize("points", [(CARBON,), (CARBON, CROSS)], ids=["one coordinate", "two"])
def test_without_a_gradient_the_vectors_are_the_same(points: tuple[Points, ...]) -> None:
    """What only keeps parameters in the graph is left out then."""
    module, given = embedding(), pieces(*points)
    learnt = embed_pieces(module, given)
    with torch.inference_mode():
        assert torch.equal(embed_pieces(module, given), learnt)
    learnt.sum().backward()
    assert all(one.grad is not None for one in module.parameters())
    assert bool(module.second_KD.grad.any()) is (len(points) == 2)


def test_a_piece_does_not_depend_on_the_others() -> None:
    """The cross peak is padded to the length of the lines; padding is zero."""
    module = embedding()
    both = embed_pieces(module, pieces(CARBON, CROSS))
    torch.testing.assert_close(both[:1], embed_pieces(module, pieces(CARBON)), rtol=0, atol=1e-6)
    torch.testing.assert_close(both[1:, :1], embed_pieces(module, pieces(CROSS)), rtol=0, atol=1e-6)
    assert not both[1, 1].any()


def test_a_token_by_hand() -> None:
    """Sinusoids of the position in steps, times one more than the gain, and the summands."""
    module, given = embedding(), pieces(CROSS)
    steps = torch.tensor([[60.0 / STEPS_A[Axis.C_PPM]], [3.5]], dtype=torch.float64)
    first, second = module.sinusoids(steps, torch.float32)
    waves = first @ module.first_KD + second @ module.second_KD
    numbers = torch.tensor([-1.0, 0, 0, 0, math.log1p(0.1 / 0.05), -1.0])
    expected = waves * (1 + numbers @ module.gain.weight.T + module.gain.bias) + numbers @ module.numbers_FD
    expected = expected + module.axis.weight[Axis.C_PPM] + module.form.weight[Form.PEAK]
    torch.testing.assert_close(embed_pieces(module, given)[0], expected, rtol=1e-5, atol=1e-6)
