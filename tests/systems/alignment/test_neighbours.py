"""The nearest known molecule's description in a prompt: which one, where, and how much of it."""

from dataclasses import replace
from pathlib import Path
from typing import Literal

import pytest
import torch
from rdkit import Chem, DataStructs
from rdkit.Chem import rdFingerprintGenerator

from mmspec_ds.errors import ConfigError, DataError
from mmspec_ds.spectra.records import Record
from mmspec_ds.systems.alignment.neighbours import (
    NEIGHBOURS,
    Described,
    Neighbours,
    checksum_of,
    known_of,
    read_known,
    write_known,
)
from mmspec_ds.systems.alignment.objects import Example, Molecule
from mmspec_ds.systems.alignment.prompt import PromptWriter, Turn
from mmspec_ds.systems.alignment.run_settings import NeighbourSettings
from mmspec_ds.systems.alignment.task import AlignmentTask
from mmspec_ds.systems.alignment.trained import load_alignment
from mmspec_ds.trainer.task import TaskContext
from tests.systems.alignment.tiny import byte_tokenizer, make_run, save_language, save_trained

ASK = "Describe the molecule [MOLECULE]."
TEXTS = {
    "CCCCO": "A butanol. It has four carbons.",
    "CCCO": "A propanol.",
    "C[C@H](N)C(=O)O": "The amino acid alanine.",
    "OC(=O)c1ccccc1": "An aromatic acid.",
}


def examples() -> list[Example]:
    return [Example(ASK, (Molecule(one),), text, "description", group=one) for one, text in TEXTS.items()]


def neighbours(
    least: float = 0.3, most: int = 60, place: Literal["question", "turn"] = "question"
) -> Neighbours:
    writer = PromptWriter(byte_tokenizer(), {"molecule": 2})
    settings = NeighbourSettings(least_similarity=least, most_tokens=most, place=place)
    return Neighbours(known_of(examples()), settings, writer)


@pytest.fixture(scope="module")
def language(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_language(tmp_path_factory.mktemp("language") / "model")


def test_the_nearest_is_that_of_rdkit() -> None:
    made = rdFingerprintGenerator.GetMorganGenerator(radius=2, fpSize=2048)
    prints = {one: made.GetFingerprint(Chem.MolFromSmiles(one)) for one in TEXTS}
    asked = ["CCCCCO", "Cc1ccccc1C(=O)O", "CC(N)C(=O)NC"]
    for smiles, found in zip(asked, neighbours(0.0).nearest(asked)):
        own = made.GetFingerprint(Chem.MolFromSmiles(smiles))
        expected = {one: DataStructs.TanimotoSimilarity(own, other) for one, other in prints.items()}
        best = max(expected, key=lambda one: expected[one])
        assert found is not None
        assert found[0].description == TEXTS[best]
        assert found[1] == pytest.approx(expected[best], abs=1e-6)


def test_never_itself_nor_another_form_of_it() -> None:
    for smiles in ("C[C@H](N)C(=O)O", "C[C@@H](N)C(=O)O", "CC([NH3+])C(=O)[O-]"):
        (found,) = neighbours(0.0).nearest([smiles])
        assert found is not None
        assert "alanine" not in found[0].description


def test_none_is_near() -> None:
    assert neighbours(0.3).nearest(["FC(F)(F)F", "no structure", "CCCCCO"])[:2] == [None, None]
    assert neighbours(0.0).nearest(["no structure"]) == [None]
    writer = PromptWriter(byte_tokenizer(), {"molecule": 2})
    assert Neighbours([], NeighbourSettings(), writer).nearest(["CCO"]) == [None]


def test_which_prompts_have_it() -> None:
    found = neighbours()
    pentanol, acid = Molecule("CCCCCO"), Molecule("Cc1ccccc1C(=O)O")
    (near,) = found.nearest(["CCCCCO"])
    assert near is not None
    told = (
        f"{ASK}\nA similar molecule ({near[1]:.2f} of 1) has this description: A butanol. It has four carbons."
    )
    assert found.prompts([ASK], [(pentanol,)]) == [told]
    assert "A butanol." in str(
        found.prompts(["tell what is known about the molecule [MOLECULE]"], [(pentanol,)])
    )
    turns = [Turn("user", "Is it [MOLECULE]?"), Turn("assistant", "yes"), Turn("user", ASK)]
    assert found.prompts([turns], [(acid, pentanol)]) == [[*turns[:2], Turn("user", told)]]
    others = ["Describe the compound with the spectrum [SPECTRUM].", "How many rings has [MOLECULE]?", ASK]
    objects = [(Record("a", ()),), (pentanol,), (Molecule("FC(F)(F)F"),)]
    assert found.prompts(others, objects) == others


def test_a_neighbour_as_the_turn_before() -> None:
    found, pentanol = neighbours(place="turn"), Molecule("CCCCCO")
    (near,) = found.nearest(["CCCCCO"])
    assert near is not None
    told = [
        Turn("user", f"Describe a similar molecule ({near[1]:.2f} of 1)."),
        Turn("assistant", "A butanol. It has four carbons."),
        Turn("user", ASK),
    ]
    assert found.prompts([ASK], [(pentanol,)]) == [told]
    before = [Turn("user", "Is it [MOLECULE]?"), Turn("assistant", "yes")]
    dialogue = [*before, Turn("user", ASK)]
    assert found.prompts([dialogue], [(Molecule("CCCO"), pentanol)]) == [[*before, *told]]
    assert found.prompts([ASK], [(Molecule("FC(F)(F)F"),)]) == [ASK]


def test_a_long_description_is_cut_after_a_sentence() -> None:
    pentanol = (Molecule("CCCCCO"),)
    (cut,) = neighbours(most=20).prompts([ASK], [pentanol])
    assert str(cut).endswith("description: A butanol.")
    assert neighbours(most=8).prompts([ASK], [pentanol]) == [ASK]


def test_a_placeholder_in_a_description_is_text() -> None:
    known = [Described("CCCCO", "A", "See [MOLECULE] and [CELL].")]
    writer = PromptWriter(byte_tokenizer(), {"molecule": 2})
    (found,) = Neighbours(known, NeighbourSettings(), writer).prompts([ASK], [(Molecule("CCCCCO"),)])
    assert str(found).endswith("description: See molecule and cell.")


def test_the_file_of_known_molecules(tmp_path: Path) -> None:
    known = known_of(examples())
    assert [one.group for one in known][:2] == ["LRHPLDYGYMQRHN", "BDERNNFJNOPAEC"]  # butanol and propanol
    write_known(tmp_path / "a.jsonl", known)
    assert read_known(tmp_path / "a.jsonl") == known
    other = [replace(known[0], description="A butanol!"), *known[1:]]
    assert checksum_of(known) != checksum_of(other)
    for line in ("{", "[]", '{"smiles": "C", "group": "A"}', '{"smiles": 1, "group": "A", "description": ""}'):
        (tmp_path / "b.jsonl").write_text(line + "\n")
        with pytest.raises(DataError, match="line 1: expected JSON with smiles, group, description"):
            read_known(tmp_path / "b.jsonl")
    with pytest.raises(DataError, match="no valid structure: nonsense"):
        known_of([Example(ASK, (Molecule("nonsense"),), "a", "description")])


def test_training_and_use_write_the_same_turns(language: Path, tmp_path: Path) -> None:
    settings = {"least_similarity": 0.1, "most_tokens": 60, "place": "turn"}
    data = {"cache": str(tmp_path / "cache")}
    run = make_run(language, neighbour=settings, data=data, training={"batch_size": 2, "steps": 1})
    run = run.model_copy(update={"encoders": {"molecule": run.encoders["molecule"]}})
    held_back = [Example(ASK, (Molecule("CCCCCO"),), "A pentanol.", "description", group="p")]
    task = AlignmentTask(run, TaskContext(torch.device("cpu")), (examples(), held_back))
    row = task.sets.validation.rows[0]
    save_trained(tmp_path / "one", language, known_of(examples()), neighbour=settings)
    read = load_alignment(tmp_path / "one")._read([ASK], [(Molecule("CCCCCO"),)]).rows[0]
    assert row.ids.tolist()[: row.answer] == read.ids.tolist()
    told = task.writer.decode([one for one in read.ids.tolist() if one >= 0])
    assert told.index("A butanol. It has four carbons.") < told.index("Describe the molecule")


def test_a_run_learns_with_neighbours_and_keeps_them(language: Path, tmp_path: Path) -> None:
    run = make_run(
        language,
        neighbour={"least_similarity": 0.0, "most_tokens": 60},
        data={"cache": str(tmp_path / "cache")},
        training={"batch_size": 2, "steps": 1},
    )
    run = run.model_copy(update={"encoders": {"molecule": run.encoders["molecule"]}})
    here = TaskContext(torch.device("cpu"))
    held_back = [Example(ASK, (Molecule("CCCCCO"),), "A pentanol.", "description", group="p")]
    task = AlignmentTask(run, here, (examples(), held_back))
    assert task.neighbours is not None
    decode = task.writer.decode
    shown = [decode([one for one in row.ids.tolist() if one >= 0]) for row in task.sets.train.rows]
    assert "A propanol." in shown[0].split("description:")[1]
    assert "A butanol." not in shown[0].split("assistant")[0]
    held = decode([one for one in task.sets.validation.rows[0].ids.tolist() if one >= 0])
    assert "A butanol. It has four carbons." in held
    assert task.identity[NEIGHBOURS] == task.neighbours.checksum
    task.save_files(tmp_path)
    assert read_known(tmp_path / NEIGHBOURS) == list(task.neighbours.known)
    with pytest.raises(ConfigError, match="no example to learn from describes a molecule"):
        AlignmentTask(run, here, ([replace(one, prompt="[MOLECULE]") for one in examples()], held_back))


def test_a_trained_model_reads_them(language: Path, tmp_path: Path) -> None:
    settings = {"least_similarity": 0.1, "most_tokens": 60}
    save_trained(tmp_path / "one", language, known_of(examples()), neighbour=settings)
    found = load_alignment(tmp_path / "one")
    row = found._read([ASK], [(Molecule("CCCCCO"),)]).rows[0]
    assert "A butanol. It has four carbons." in found.writer.decode(
        [one for one in row.ids.tolist() if one >= 0]
    )
    write_known(tmp_path / "one" / NEIGHBOURS, known_of(examples())[1:])
    with pytest.raises(DataError, match="the file of known descriptions is not the one"):
        load_alignment(tmp_path / "one")
