"""Whole trainings of both stages: on one rank and on two, stopped and resumed, exported and asked."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from mmspec_ds.cli import main
from mmspec_ds.errors import DataError
from mmspec_ds.files import read_manifest, sha256_of
from mmspec_ds.systems.alignment.decoding import Decoding
from mmspec_ds.systems.alignment.neighbours import NEIGHBOURS
from mmspec_ds.systems.alignment.objects import Example, Molecule, Protein
from mmspec_ds.systems.alignment.trained import load_alignment
from tests.systems.alignment.questions_of_molecules import described, questions, talks
from tests.systems.alignment.tiny import run_content, save_language
from tests.trainer.conftest import Launcher

pytestmark = pytest.mark.slow  # every process imports transformers, which takes seconds

STAGES = {
    "stage1": ("objective.contrastive=1.0", "objective.autoregressive=0.5", "data.tasks=[description]"),
    "stage2": ("objective.contrastive=0.0", "data.tasks=[element,longer,both]"),
    "comparison": (
        *("objective.contrastive=1.0", "objective.autoregressive=0.5", "data.tasks=[longer,both]"),
        *("projection.question=true", "projection.compare=true"),
    ),
    "dialogues": ("data.tasks=[element,both,oxygen,long,length]", "data.questions_together=2"),
}
BY_GRADIENT = ("training.optimizer=sgd", "training.learning_rate=0.1")


def write_examples(path: Path, examples: list[Example]) -> None:
    """As `mmspec questions` writes them."""
    with path.open("w") as file:
        for one in examples:
            objects = [
                {"kind": "molecule", "smiles": thing.smiles}
                if isinstance(thing, Molecule)
                else {"kind": "protein", "sequence": thing.sequence, "name": ""}
                for thing in one.objects
                if isinstance(thing, Molecule | Protein)
            ]
            line = {
                "task": one.task, "prompt": one.prompt, "answer": one.answer, "objects": objects,
                "group": one.group, "phrasing": 0,
            }  # fmt: skip
            file.write(json.dumps(line | ({"choices": list(one.choices)} if one.choices else {})) + "\n")


@pytest.fixture(scope="module")
def launcher(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Launcher]:
    """Starts trainings of six steps."""
    folder = tmp_path_factory.mktemp("alignment")
    save_language(folder / "language")
    write_examples(folder / "examples.jsonl", [*described(), *questions(), *talks()])
    (folder / "zero1.json").write_text(json.dumps({"zero_optimization": {"stage": 1}}))
    run = run_content(
        folder / "language",
        engine="zero1.json",
        output=str(folder),
        data={
            "train": [str(folder / "examples.jsonl")],
            "validation_fraction": 0.3,
            "cache": str(folder / "cache"),
        },
        training={"batch_size": 4, "steps": 6, "log_every": 1, "validate_every": 3, "threads": 1},
    )
    (folder / "run.yaml").write_text(yaml.safe_dump(run))
    found = Launcher(folder / "run.yaml")
    yield found
    found.close()


def test_two_ranks_are_one(launcher: Launcher) -> None:
    found = {}
    for ranks in (1, 2):
        size = f"training.batch_size={4 // ranks}"
        runs = {f"{name}_{ranks}": (*BY_GRADIENT, size, *more) for name, more in STAGES.items()}
        for name, run in zip(STAGES, launcher.train_many(runs, ranks).values()):
            assert run.statuses == (0,) * ranks, run.output
            found[name, ranks] = run.series("loss/total")
    for name in STAGES:
        assert found[name, 2] == pytest.approx(found[name, 1], abs=1e-4), name
        assert found[name, 1][-1] != pytest.approx(found[name, 1][0], abs=1e-2)


@pytest.mark.parametrize("stage", list(STAGES))
def test_it_resumes_bit_for_bit(launcher: Launcher, stage: str) -> None:
    more = (*STAGES[stage], "projection.dropout=0.1")
    language = sha256_of(launcher.run_file.parent / "language/model.safetensors")
    calm = launcher.train(f"calm_{stage}", *more)
    assert calm.statuses == (0,), calm.output
    folder = calm.folder.with_name(f"resumed_{stage}")
    shutil.copytree(calm.folder, folder)
    shutil.rmtree(folder / "checkpoints" / "step_00000006")
    resumed = launcher.train(folder.name, *more, "--resume")
    assert resumed.statuses == (0,), resumed.output
    assert "going on from" in resumed.output
    saved, again = (
        read_manifest(run / "checkpoints" / "step_00000006")["files"] for run in (calm.folder, folder)
    )
    assert again == saved
    assert sha256_of(launcher.run_file.parent / "language/model.safetensors") == language


def test_stage_2_begins_with_stage_1_and_an_export_answers(launcher: Launcher, tmp_path: Path) -> None:
    first = launcher.train("first", *STAGES["stage1"])
    assert first.statuses == (0,), first.output
    start = f"training.projections_from=[{first.folder}]"
    second = launcher.train("second", *STAGES["stage2"], start)
    assert second.statuses == (0,), second.output
    assert main(["export", str(second.folder), str(tmp_path / "model")]) == 0
    assert not any("language" in path.name for path in (tmp_path / "model").iterdir())
    with pytest.raises(DataError, match="there is no folder language with its language model"):
        load_alignment(tmp_path / "model")
    language = launcher.run_file.parent / "language"
    prompts, objects = ["Is N in [MOLECULE]?"], [(Molecule("CN"),)]
    found = load_alignment(tmp_path / "model", language).answer(prompts, objects, decoding=Decoding(5))
    assert found == load_alignment(second.folder).answer(prompts, objects, decoding=Decoding(5))
    (tmp_path / "model/language_model").symlink_to(language)
    assert load_alignment(tmp_path / "model").answer(prompts, objects, decoding=Decoding(5)) == found


def test_an_export_keeps_the_known_descriptions(launcher: Launcher, tmp_path: Path) -> None:
    near = ("neighbour.least_similarity=0.0", "neighbour.most_tokens=60")
    run = launcher.train("near", *STAGES["stage1"], *near)
    assert run.statuses == (0,), run.output
    assert main(["export", str(run.folder), str(tmp_path / "model")]) == 0
    known = (run.folder / NEIGHBOURS).read_text()
    assert (tmp_path / "model" / NEIGHBOURS).read_text() == known
    found = load_alignment(tmp_path / "model", launcher.run_file.parent / "language")
    assert found.neighbours is not None
    assert len(found.neighbours.known) == len(known.splitlines()) > 5
    row = found._read(["Describe [MOLECULE]."], [(Molecule("CCCCCC"),)]).rows[0]
    assert "has this description: " in found.writer.decode([one for one in row.ids.tolist() if one >= 0])
