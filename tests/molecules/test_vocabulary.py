"""The vocabulary: fixed specials, an order that does not depend on the data's, and files that are whole."""

import json
from pathlib import Path

import pytest

from mmspec_ds.errors import DataError
from mmspec_ds.molecules.vocabulary import Vocabulary

ETHANOL = ["C", "C", "O"]
BROMIDE = ["C", "Br"]


def test_ids_by_hand() -> None:
    vocabulary = Vocabulary.build([ETHANOL, BROMIDE])
    assert vocabulary.tokens == ("<pad>", "<bos>", "<eos>", "<unk>", "Br", "C", "O")
    assert len(vocabulary) == 7
    assert vocabulary.encode(["C", "Br", "N"]) == [5, 4, Vocabulary.UNK]
    assert (Vocabulary.PAD, Vocabulary.BOS, Vocabulary.EOS, Vocabulary.UNK) == (0, 1, 2, 3)


def test_order_of_the_data_does_not_matter() -> None:
    assert Vocabulary.build([ETHANOL, BROMIDE]) == Vocabulary.build([BROMIDE, ETHANOL, ETHANOL])


def test_decoding_stops_at_the_end_and_skips_specials() -> None:
    vocabulary = Vocabulary.build([ETHANOL, BROMIDE])
    assert vocabulary.decode([1, 5, 3, 5, 6, 0, 2, 4, 4]) == ETHANOL
    assert vocabulary.decode(vocabulary.encode(BROMIDE)) == BROMIDE


@pytest.mark.parametrize("index", [-1, 7])
def test_decoding_refuses_an_id_outside(index: int) -> None:
    with pytest.raises(ValueError, match=f"id {index} is outside the vocabulary of 7 tokens"):
        Vocabulary.build([ETHANOL, BROMIDE]).decode([index])


@pytest.mark.parametrize(
    ("tokens", "message"),
    [(["C", "C"], "'C' occurs twice"), (["<pad>"], "occurs twice"), ([""], "empty token")],
)
def test_ambiguous_tokens_are_refused(tokens: list[str], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Vocabulary(tokens)


def test_saved_and_loaded(tmp_path: Path) -> None:
    vocabulary = Vocabulary.build([ETHANOL, BROMIDE, ["1HNMR", "[C@@H]", "µ"]])
    path = tmp_path / "vocabulary.json"
    path.write_text("an older file")
    vocabulary.save(path)
    assert Vocabulary.load(path) == vocabulary
    assert [entry.name for entry in tmp_path.iterdir()] == ["vocabulary.json"]


SPECIALS = list(Vocabulary.SPECIALS)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "is not JSON"),
        ("[]", "must be a JSON object"),
        (json.dumps({"tokens": ["C"]}), "the specials are None"),
        (json.dumps({"specials": SPECIALS}), "key tokens"),
        (json.dumps({"specials": SPECIALS, "tokens": ["C", 5]}), "key tokens"),
        (json.dumps({"specials": SPECIALS, "tokens": ["C", "C"]}), "occurs twice"),
    ],
    ids=["no_json", "a_list", "no_specials", "no_tokens", "a_number", "twice"],
)
def test_a_damaged_file_is_one_line(tmp_path: Path, content: str, message: str) -> None:
    path = tmp_path / "vocabulary.json"
    path.write_text(content)
    with pytest.raises(DataError, match=message) as caught:
        Vocabulary.load(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_missing_file_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="cannot be read: No such file"):
        Vocabulary.load(tmp_path / "none.json")
