"""A pretrained causal language model in a folder: `config.json`, `tokenizer.json`, safetensors; or a GGUF file.

Pickles are not read, and code that comes with a model is not run.
"""

import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import torch
from torch import Tensor

from mmspec_ds.errors import DataError, UserError
from mmspec_ds.files import sha256_of

if TYPE_CHECKING:
    from tokenizers import Tokenizer

Attention = Literal["bidirectional", "causal"]

CONFIG, TOKENIZER, TOKENIZER_CONFIG = "config.json", "tokenizer.json", "tokenizer_config.json"
_PICKLES = (".bin", ".pt", ".pth", ".ckpt", ".pkl")
_HINT = "expected config.json with .safetensors, or one .gguf file (`mmspec unpack` makes such a folder)"


def transformers() -> Any:
    """The library of the models, which is an extra of the installation.

    Raises:
        UserError: it is not installed.
    """
    try:
        import transformers
    except ImportError:
        raise UserError("language models need transformers: expected `pip install 'mmspec-ds[llm]'`") from None
    return transformers


def weight_files(folder: Path) -> list[Path]:
    """The files of the weights: all safetensors, or the only GGUF file.

    Raises:
        DataError: there is no such model; says what the folder lacks.
    """
    if not folder.is_dir():
        raise DataError(f"no such folder of a language model: {_HINT}", path=folder)
    safetensors, gguf = sorted(folder.glob("*.safetensors")), sorted(folder.glob("*.gguf"))
    if not safetensors and len(gguf) == 1:
        return gguf
    if not safetensors and gguf:
        raise DataError(f"holds {len(gguf)} .gguf files: {_HINT}", path=folder)
    if not safetensors:
        pickles = [path.name for path in sorted(folder.iterdir()) if path.suffix in _PICKLES]
        held = f"its weights are a pickle, {pickles[0]}, which may run code" if pickles else "holds no weights"
        raise DataError(f"{held}: {_HINT}", path=folder)
    if not (folder / CONFIG).is_file():
        raise DataError(f"holds no {CONFIG}: {_HINT}", path=folder)
    for name in (CONFIG, TOKENIZER_CONFIG):
        if "auto_map" in _json(folder / name):
            raise DataError("auto_map names code that comes with the model: expected a model that needs none",
                            path=folder / name)  # fmt: skip
    return safetensors


def identity_of(folder: Path) -> str:
    """A checksum of the weights, of the configuration and of the tokenizer.

    Raises:
        DataError: the folder holds no model.
    """
    digest = hashlib.sha256()
    named = [folder / name for name in (CONFIG, TOKENIZER) if (folder / name).is_file()]
    for path in [*named, *weight_files(folder)]:
        digest.update(f"{path.name} {sha256_of(path)}\n".encode())
    return digest.hexdigest()


def read_tokenizer(folder: Path) -> "Tokenizer":
    """The tokenizer of a model.

    Raises:
        DataError: there is none, or it cannot be read.
    """
    file = weight_files(folder)[0]
    if file.suffix == ".gguf":
        return read_gguf_tokenizer(file).backend_tokenizer
    if not (folder / TOKENIZER).is_file():
        raise DataError(f"holds no {TOKENIZER}: expected a model with its tokenizer", path=folder)
    try:
        from tokenizers import Tokenizer

        return Tokenizer.from_file(str(folder / TOKENIZER))
    except Exception as error:  # the library raises bare exceptions
        raise DataError(f"its tokenizer cannot be read: {_told(error)}", path=folder) from None


def read_gguf_tokenizer(file: Path) -> Any:
    """The tokenizer in a GGUF file, as transformers wraps it.

    Raises:
        DataError: it cannot be read.
    """
    try:
        with quiet():
            return transformers().AutoTokenizer.from_pretrained(
                str(file.parent), gguf_file=file.name, local_files_only=True
            )
    except Exception as error:
        raise DataError(f"its tokenizer cannot be read: {_told(error)}", path=file) from None


def read_model(
    folder: Path,
    *,
    layers: int | None = None,
    attention: Attention = "bidirectional",
    attention_dropout: float = 0.0,
    random_seed: int | None = None,
) -> Any:
    """A model of transformers with a language head, in float32 and evaluation mode.

    Args:
        folder: of the model.
        layers: how many of its layers to keep, the first ones; all without.
        attention: whether a token also sees those after it.
        attention_dropout: the share of attention weights that is dropped in training.
        random_seed: draw all weights anew from this seed, to compare with.

    Raises:
        DataError: the folder holds no such model, a damaged one, or one whose attention cannot be changed so.
    """
    with quiet():
        config = read_config(folder, layers=layers, attention=attention)
        config.attention_dropout = attention_dropout
        try:
            model = _loaded(folder, config) if random_seed is None else _drawn(config, random_seed)
        except DataError:
            raise
        except Exception as error:  # of many libraries: a damaged file, a kind of model that is not known
            raise DataError(f"cannot be read as a causal language model: {_told(error)}", path=folder) from None
    model.eval()
    _set_attention(model, attention, folder)
    return model


def _loaded(folder: Path, config: Any) -> Any:
    file = weight_files(folder)[0]
    form = {"gguf_file": file.name} if file.suffix == ".gguf" else {"use_safetensors": True}
    model, loading = transformers().AutoModelForCausalLM.from_pretrained(
        str(folder), config=config, dtype=torch.float32, output_loading_info=True,
        trust_remote_code=False, local_files_only=True, **form,
    )  # fmt: skip
    if loading["missing_keys"]:
        raise DataError(f"lacks weights, such as {min(loading['missing_keys'])}: expected all", path=folder)
    return model


def _drawn(config: Any, seed: int) -> Any:
    with torch.random.fork_rng(devices=()):
        torch.manual_seed(seed)
        return transformers().AutoModelForCausalLM.from_config(config, dtype=torch.float32)


def read_config(folder: Path, *, layers: int | None = None, attention: Attention = "bidirectional") -> Any:
    """The configuration of a model, cut to its first layers.

    Raises:
        DataError: it cannot be read, or the model has fewer layers.
    """
    file = weight_files(folder)[0]
    gguf = {"gguf_file": file.name} if file.suffix == ".gguf" else {}
    try:
        config = transformers().AutoConfig.from_pretrained(
            str(folder), trust_remote_code=False, local_files_only=True, **gguf
        )
    except Exception as error:
        raise DataError(f"its configuration cannot be read: {_told(error)}", path=folder) from None
    if layers is not None:
        if layers > config.num_hidden_layers:
            raise DataError(f"has {config.num_hidden_layers} layers: expected {layers} or more", path=folder)
        config.num_hidden_layers = layers
        if getattr(config, "layer_types", None):
            config.layer_types = config.layer_types[:layers]
    config.is_causal = attention == "causal"
    config.use_cache = False
    return config


@torch.no_grad()
def _set_attention(model: Any, attention: Attention, folder: Path) -> None:
    """Make every layer look ahead, or not. The configuration alone decides the mask; without padding there is
    none, and the kernels of attention go by their modules. That it worked is tried out."""
    for module in model.modules():
        if hasattr(module, "is_causal"):
            module.is_causal = attention == "causal"
    width = model.get_input_embeddings().weight.shape[1]
    states = torch.randn(1, 4, width, generator=torch.Generator().manual_seed(0))
    changed = torch.cat([states[:, :3], -states[:, 3:]], dim=1)
    first = [decoder_of(model)(inputs_embeds=x).last_hidden_state[0, 0] for x in (states, changed)]
    if torch.equal(*first) == (attention == "bidirectional"):
        raise DataError(
            f"its attention cannot be made {attention}: expected a model of another kind", path=folder
        )


def decoder_of(model: Any) -> Any:
    """The layers of a model, without its language head."""
    return model.get_decoder()


def embedded(model: Any, ids: Tensor) -> Tensor:
    """The input embeddings of token ids [...], [..., width]."""
    states: Tensor = model.get_input_embeddings()(ids)
    return states


@contextmanager
def quiet() -> Iterator[None]:
    """Without the warnings and progress bars of transformers."""
    logging = transformers().utils.logging
    level, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(level)
        if bars:
            logging.enable_progress_bar()


def _json(path: Path) -> dict[str, Any]:
    if not path.is_file():
        return {}
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DataError(f"cannot be read: {_told(error)}", path=path) from None
    if not isinstance(content, dict):
        raise DataError(f"expected an object in JSON, found {type(content).__name__}", path=path)
    return content


def _told(error: BaseException) -> str:
    return " ".join(str(error).split())[:200] or type(error).__name__
