"""Records to tokens, and vocabularies to files and back."""

import json

import numpy as np
import pytest

from mmspec_ds.data.data_settings import DataSettings
from mmspec_ds.data.encoding import InputEncoding, TextLearner
from mmspec_ds.data.vocabularies import Vocabularies
from mmspec_ds.errors import DataError
from mmspec_ds.molecules.vocabulary import Vocabulary
from mmspec_ds.spectra.modalities.c_nmr import CarbonNMRSettings
from mmspec_ds.spectra.records import CarbonNMR, HydrogenNMR, Modality, Multiplet, Record
from mmspec_ds.spectra.registry import CompressionSettings, schema_of
from mmspec_ds.spectra.rows import RecordRows

ETHANOL = Record(
    "ethanol",
    (
        HydrogenNMR((Multiplet(3.6, 3.7, 3.5, "q", 2, (7.0,)), Multiplet(1.2, 1.25, 1.15, "t", 3, (7.0,)))),
        CarbonNMR((57.8, 18.1)),
    ),
    "CCO",
    "C2H6O",
)
TEXT = DataSettings(modalities=("c_nmr", "h_nmr"), representation="text")


def tokens_of(encoder, record):
    """The tokens of one record, without those of modalities that it lacks."""
    encoded = encoder.encode_rows(RecordRows([record.id], [record]), [0])
    return {modality: tokens for modality, tokens in encoded.tokens.items() if len(tokens)}


def learnt(*records, settings=TEXT):
    learner = TextLearner(settings)
    return [tokens_of(learner, record) for record in records], learner


def test_compressed_tokens_are_those_of_the_registry():
    settings = DataSettings(compression=CompressionSettings(c_nmr=CarbonNMRSettings(bin_ppm=1.0, max_tokens=1)))
    encoding = InputEncoding.from_settings(settings)
    tokens = encoding.encode(ETHANOL)
    assert list(tokens) == [Modality.H_NMR, Modality.C_NMR]
    assert tokens[Modality.C_NMR].discrete.tolist() == [[78]]  # 57.8 ppm, bins of 1 ppm from -20
    assert list(encoding.schemas) == [Modality.H_NMR, Modality.C_NMR, Modality.IR, Modality.MS]
    assert encoding.schemas[Modality.IR] == schema_of(Modality.IR, settings.compression)


def test_the_formula_is_read_only_when_asked_for():
    assert Modality.FORMULA not in InputEncoding.from_settings(DataSettings()).encode(ETHANOL)
    assert len(InputEncoding.from_settings(DataSettings(formula=True)).encode(ETHANOL)[Modality.FORMULA]) == 3


def test_text_by_hand():
    """13CNMR 57.8 18.1: sorted, the header comes first, then 18.1 and 57.8, from id 4 on."""
    encoding, tables = learnt(ETHANOL)[1].finish()
    assert encoding.source[Modality.C_NMR].tokens[4:] == ("13CNMR", "18.1", "57.8")
    assert encoding.encode(ETHANOL)[Modality.C_NMR].discrete.tolist() == [[4], [6], [5]]
    assert encoding.schemas[Modality.C_NMR].discrete[0].size == 7
    assert encoding.schemas[Modality.C_NMR].ordered
    assert tables[Modality.C_NMR].tolist() == [0, 1, 2, 3, 4, 6, 5]


def test_provisional_ids_become_those_of_the_vocabulary():
    other = Record("other", (CarbonNMR((99.0, 18.1, 1.0)),), "C")
    encoded, learner = learnt(ETHANOL, other)
    encoding, tables = learner.finish()
    for record, provisional in zip((ETHANOL, other), encoded):
        for modality, tokens in encoding.encode(record).items():
            np.testing.assert_array_equal(tables[modality][provisional[modality].discrete], tokens.discrete)


def test_words_never_seen_are_unknown():
    encoding, _ = learnt(ETHANOL)[1].finish()
    found = encoding.encode(Record("x", (CarbonNMR((18.1, 123.4)),), "C"))[Modality.C_NMR]
    assert found.discrete[:, 0].tolist() == [4, 5, Vocabulary.UNK]


def test_text_is_cut_at_its_limit():
    settings = DataSettings(modalities=("h_nmr",), representation="text", max_text_tokens=4)
    (tokens,), learner = learnt(ETHANOL, settings=settings)
    assert len(tokens[Modality.H_NMR]) == 4
    assert learner.finish()[0].encode(ETHANOL)[Modality.H_NMR].discrete.shape == (4, 1)


def test_a_full_vocabulary_knows_no_further_word(monkeypatch):
    monkeypatch.setattr(TextLearner, "LIMIT", 6)
    (tokens,), _ = learnt(ETHANOL)
    assert tokens[Modality.C_NMR].discrete[:, 0].tolist() == [4, 5, Vocabulary.UNK]


def test_text_needs_its_vocabularies_and_compression_none():
    with pytest.raises(ValueError, match="needs a source vocabulary"):
        InputEncoding.from_settings(TEXT)
    with pytest.raises(ValueError, match="each modality"):
        InputEncoding.from_settings(TEXT, {Modality.H_NMR: Vocabulary([])})
    with pytest.raises(ValueError, match="no use"):
        InputEncoding.from_settings(DataSettings(), {Modality.H_NMR: Vocabulary([])})


@pytest.mark.parametrize("text", [True, False], ids=["text", "compressed"])
def test_an_encoding_is_rebuilt_from_its_files(tmp_path, text):
    path = tmp_path / "vocabulary.json"
    settings = TEXT if text else DataSettings()
    encoding = learnt(ETHANOL)[1].finish()[0] if text else InputEncoding.from_settings(settings)
    Vocabularies(Vocabulary.build([["C", "O"]]), encoding.source).save(path)

    assert set(json.loads(path.read_text())) == {"target", "source"}
    again = Vocabularies.load(path)
    kept = DataSettings.model_validate_json(settings.model_dump_json())
    assert again.target == Vocabulary.build([["C", "O"]])
    assert InputEncoding.from_settings(kept, again.source) == encoding
    assert [file.name for file in tmp_path.iterdir()] == ["vocabulary.json"]


TARGET = '{"target": {"specials": ["<pad>", "<bos>", "<eos>", "<unk>"], "tokens": []}, "source": '


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "cannot be read"),
        ("{", "not valid JSON"),
        ("[]", "keys target and source"),
        ('{"source": null}', "keys target and source"),
        ('{"target": {"tokens": []}}', "specials"),
        (TARGET + "[1]}", "not the"),
        (TARGET + '{"uv": {}}}', "unknown modality 'uv'"),
    ],
    ids=["no file", "cut short", "a list", "no target", "no vocabulary", "source a list", "unknown modality"],
)
def test_a_file_that_is_no_vocabulary_is_refused(tmp_path, content, message):
    path = tmp_path / "vocabulary.json"
    if content is not None:
        path.write_text(content)
    with pytest.raises(DataError, match=message) as error:
        Vocabularies.load(path)
    assert "vocabulary.json" in str(error.value)
    assert "\n" not in str(error.value)
