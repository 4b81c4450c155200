"""Descriptions are read by the language model once, whatever set of them is asked for later."""

from pathlib import Path

import pytest
import torch

from mmspec_ds.errors import DataError
from mmspec_ds.systems.alignment.descriptions import describe
from mmspec_ds.systems.alignment.frozen_language import FrozenLanguage
from mmspec_ds.systems.alignment.prompt import PromptWriter
from mmspec_ds.trainer.weights import write_weights
from tests.systems.alignment.tiny import save_language


def test_only_new_descriptions_are_read(tmp_path: Path) -> None:
    language = FrozenLanguage(save_language(tmp_path / "language"))
    writer = PromptWriter(language.tokenizer, {"molecule": 2}, longest=8)
    told: list[tuple[int, str]] = []

    def states(*texts: str, layer: int = 1) -> torch.Tensor:
        told.clear()
        return describe(language, writer, texts, layer, tmp_path / "cache", lambda *one: told.append(one))

    first = states("an ester", "no", "an ester")
    assert told[-1] == (2, "of 2 descriptions")
    more = states("yes", "no", "a long description of it")
    assert told[-1] == (2, "of 2 descriptions")
    again = states("a long description of it", "an ester")
    assert not told
    ids = [writer.text_ids(text)[:8] for text in ("an ester", "no", "yes", "a long description of it")]
    expected = language.represent(ids, layer=1)
    for found, rows in ((first, [0, 1, 0]), (more, [2, 1, 3]), (again, [3, 0])):
        assert torch.allclose(found, expected[rows], atol=1e-5)
    assert torch.allclose(states("no", layer=0)[0], language.represent(ids, layer=0)[1], atol=1e-5)
    assert told
    assert len(list((tmp_path / "cache").glob("*.safetensors"))) == 2
    assert states().shape == (0, language.width)


def test_a_file_of_something_else_is_told(tmp_path: Path) -> None:
    language = FrozenLanguage(save_language(tmp_path / "language"))
    writer = PromptWriter(language.tokenizer, {"molecule": 2}, longest=8)
    describe(language, writer, ["no"], 1, tmp_path / "cache")
    (path,) = (tmp_path / "cache").glob("*.safetensors")
    write_weights({"descriptions": torch.zeros(1, language.width)}, path)
    with pytest.raises(DataError, match="other vectors than expected: remove it, and it is made anew"):
        describe(language, writer, ["no"], 1, tmp_path / "cache")
    with pytest.raises(DataError, match=r"has 2 layers: expected at least 3, see objective\.layer"):
        describe(language, writer, ["no"], 3, tmp_path / "cache")
