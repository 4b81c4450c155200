"""Run files: what is read, what is refused, and in which words."""

from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from mmspec_ds.errors import ConfigError
from mmspec_ds.settings import read_yaml
from mmspec_ds.systems.elucidation.run_settings import ElucidationRun
from mmspec_ds.systems.run_file import load_run

MINIMAL = """\
name: small
engine: engine.json
training: {steps: 10}
"""
MOE = """\
moe:
  experts:
    - {family: shared, width: 32}
    - {family: shared, width: 16}
"""

Write = Callable[[str], Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Writes a run file."""

    def write_file(text: str) -> Path:
        path = tmp_path / "run.yaml"
        path.write_text(text, encoding="utf-8")
        return path

    return write_file


def refusal(path: Path, *overrides: str) -> str:
    """The one line with which a run file is refused."""
    with pytest.raises(ConfigError) as caught:
        load_run(path, overrides)
    text = str(caught.value)
    assert "\n" not in text
    return text


@pytest.mark.parametrize(
    ("addition", "told"),
    [
        ("modle: {d_model: 64}", "modle: unknown key; did you mean 'model'?"),
        ("model: {d_modle: 64}", "model.d_modle: unknown key; did you mean 'd_model'?"),
        ("objective: {temprature: 1}", "objective.temprature: unknown key; did you mean 'temperature'?"),
        (
            "training: {steps: 1, augment: {c_nmr: {shift: 2}}}",
            "training.augment.c_nmr.shift: unknown key; did you mean 'shift_ppm'?",
        ),
        (
            "training: {steps: 1, augment: {ir: {missing: 1.5}}}",
            "training.augment.ir.missing: input should be less than or equal to 1",
        ),
        (
            "data: {representation: text}\ntraining: {steps: 1, augment: {ir: {missing: 0.5}}}",
            "training.augment changes compressed spectra: expected none for text",
        ),
        (
            "data: {compression: {ms: {max_peak: 3}}}",
            "data.compression.ms.max_peak: unknown key; did you mean 'max_peaks'?",
        ),
        (
            "moe: {experts: [{family: shared, width: 16}, {family: shared, wdith: 16, width: 16}]}",
            "moe.experts.1.wdith: unknown key; did you mean 'width'?",
        ),
        ("moe: {capcity_factor: 2}", "moe.capcity_factor: unknown key; did you mean 'capacity_factor'?"),
        ("xyzzy: 1", "xyzzy: unknown key; known keys: system, name, seed, engine"),
        ("1: 2", "1: "),
    ],
    ids=str,
)
def test_unknown_keys_name_the_nearest(write: Write, addition: str, told: str) -> None:
    path = write(MINIMAL + addition + "\n")
    assert refusal(path).startswith(f"{path}: ")
    assert told in refusal(path)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("engine: e.json\ntraining: {steps: 1}", "name: missing"),
        ("name: a\ntraining: {steps: 1}", "engine: missing"),
        ("name: a\nengine: e.json", "training: missing"),
        ("name: a\nengine: e.json\ntraining: {steps: 1}\nmoe: {experts: [{family: shared}]}", "width: missing"),
        ("", "expected keys and values, found NoneType"),
        ("- 1\n- 2", "expected keys and values, found list"),
        ("just words", "expected keys and values, found str"),
        ("name: [", "not YAML"),
        ("name: a\n\tengine: b", "not YAML"),
    ],
    ids=str,
)
def test_what_is_missing(write: Write, text: str, told: str) -> None:
    assert told in refusal(write(text))


def test_an_override_fills_a_block_that_is_null(tmp_path: Path) -> None:
    """As in the config.yaml of a run, which has every key."""
    (tmp_path / "run.yaml").write_text("adapt: null\nseed: 1\n")
    found = read_yaml(tmp_path / "run.yaml", ["adapt.base=runs/large", "adapt.width=3"])
    assert found == {"adapt": {"base": "runs/large", "width": 3}, "seed": 1}


@pytest.mark.parametrize(
    ("override", "told"),
    [
        ("seed=many", "seed: input should be a valid integer"),
        ("seed=-1", "seed: input should be greater than or equal to 0, found -1"),
        ("name=a/b", "name: "),
        ("name=", "name: "),
        ("model.d_model=0", "model.d_model: input should be greater than 0, found 0"),
        ("model.heads=7", "d_model must be a multiple of heads"),
        ("model.dropout=1.0", "model.dropout: input should be less than 1"),
        ("model=3", "model: "),
        ("moe.k=3", "k is 3, but there are 2 experts"),
        ("moe.mode=drop", "moe.mode: input should be 'dropless' or 'capacity', found 'drop'"),
        ("data.modalities=[h_nmr,nmr]", "unknown modality 'nmr'"),
        ("data.train=7", "data.train"),
        ("training.optimizer=adam", "'adamw' or 'sgd', found 'adam'"),
        ("training.warmup=1.0", "training.warmup: input should be less than 1"),
        ("training.betas=[0.9]", "training.betas"),
        ("training.threads=0", "training.threads: input should be greater than or equal to 1, found 0"),
        (
            "moe.experts=[{family: modality, width: 16, modalities: [nmr]}, {family: shared, width: 16}]",
            "moe.experts[0].modalities: unknown modality 'nmr'",
        ),
    ],
    ids=str,
)
def test_values_that_do_not_fit(write: Write, override: str, told: str) -> None:
    assert told in refusal(write(MINIMAL + MOE), override)


def test_the_system_is_elucidation_unless_the_file_says_otherwise(write: Write) -> None:
    run = load_run(write(MINIMAL))
    assert (type(run), run.system) == (ElucidationRun, "elucidation")
    assert load_run(write(MINIMAL + "system: elucidation\n")) == run
    told = refusal(write(MINIMAL), "system=elucidaton")
    assert "system: unknown system 'elucidaton'; did you mean 'elucidation'?" in told
    assert "unknown system 7; known systems: elucidation" in refusal(write(MINIMAL), "system=7")
    assert "unknown system ['a']; known systems" in refusal(write(MINIMAL), "system=[a]")


def test_all_that_is_wrong_is_told_at_once(write: Write) -> None:
    told = refusal(write(MINIMAL), "seed=x", "model.d_modle=3", "training.steps=0")
    assert all(part in told for part in ("seed: ", "model.d_modle: ", "training.steps: "))


@pytest.mark.parametrize(
    ("override", "told"),
    [
        ("seed", "'seed': expected section.key=value"),
        ("=3", "'=3': expected section.key=value"),
        ("seed=[", "'seed=[': not YAML"),
        ("seed.deep=3", "seed: input should be a valid integer"),
        ("name.deep=3", "name is a value, not a section"),
        ("moe.experts.0.width=32", "experts is a value, not a section"),
        ("trainig.steps=3", "trainig: unknown key; did you mean 'training'?"),
    ],
    ids=str,
)
def test_overrides_that_cannot_be(write: Write, override: str, told: str) -> None:
    assert told in refusal(write(MINIMAL + MOE), override)


def test_overrides_are_yaml_and_the_last_one_counts(write: Write) -> None:
    run = load_run(
        write(MINIMAL),
        [
            "seed=1",
            "seed=2",
            "training.steps=null",
            "training.minutes=0.5",
            "training.learning_rate=1e-3",
            "data.train=[a.parquet, b.parquet]",
            "data.formula=true",
            "moe.k=1",
        ],
    )
    assert run.seed == 2
    assert (run.training.steps, run.training.minutes, run.training.learning_rate) == (None, 0.5, 0.001)
    assert run.data.train == (Path("a.parquet"), Path("b.parquet"))
    assert run.data.formula is True
    assert run.moe is not None
    assert (run.moe.k, len(run.moe.experts)) == (1, 8)


@pytest.mark.parametrize(
    ("overrides", "found"),
    [
        (["training.steps=null"], "none"),
        (["training.epochs=1"], "steps and epochs"),
        (["training.epochs=1", "training.minutes=2"], "steps and epochs and minutes"),
    ],
    ids=str,
)
def test_exactly_one_budget(write: Write, overrides: list[str], found: str) -> None:
    told = refusal(write(MINIMAL), *overrides)
    assert (
        f"training: exactly one of steps, epochs, samples, flops and minutes is the budget, found {found}"
        in told
    )


def test_the_engine_file_stands_beside_the_run_file(write: Write, tmp_path: Path) -> None:
    path = write(MINIMAL)
    assert load_run(path).engine == tmp_path / "engine.json"
    assert load_run(path, ["engine=/elsewhere/zero.json"]).engine == Path("/elsewhere/zero.json")


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    assert "there is no such file" in refusal(tmp_path / "none.yaml")
    assert "Is a directory" in refusal(tmp_path)
    binary = tmp_path / "binary.yaml"
    binary.write_bytes(b"name: \xff\xfe")
    assert "not YAML" in refusal(binary)


def test_what_is_dumped_is_loaded_again(write: Write, tmp_path: Path) -> None:
    run = load_run(
        write(MINIMAL + MOE), ["seed=7", "data.train=[a.parquet]", "data.compression.ms.max_peaks=3"]
    )
    again = tmp_path / "config.yaml"
    again.write_text(run.to_yaml(), encoding="utf-8")
    assert load_run(again) == run
    assert set(yaml.safe_load(run.to_yaml())) == set(ElucidationRun.model_fields), (
        "defaults are written out too"
    )


RUN_FILES = sorted(
    path for path in (Path(__file__).parents[1] / "ds_configs" / "runs").glob("*.yaml") if path.stem != "cohort"
)
"""Those of trainings; that of `mmspec cohort` has settings of its own."""


def test_run_files_ship() -> None:
    assert {"demo.yaml", "alberts.yaml"} <= {path.name for path in RUN_FILES}


@pytest.mark.parametrize("path", RUN_FILES, ids=lambda path: path.stem)
def test_shipped_run_files_load(path: Path) -> None:
    run = load_run(path)
    assert run.engine.is_file()
    assert run.name == path.stem, "two run files must not write into one folder"
    if isinstance(run, ElucidationRun):
        assert run.data.max_target_tokens < run.model.max_target_tokens
    moe = getattr(run, "moe", None)  # not every system has experts
    if moe is not None:
        assert len(moe.experts) % run.training.ep_size == 0
    else:
        assert run.training.ep_size == 1
