"""Encoders by name. An encoder is a class in a file of its own, which is imported when it is asked for.

A class has `Options`, its settings, is made from them, and is an `ObjectEncoder`. One that is not listed here
is named by its place, `package.module:Class`: a module that Python can import, such as that of an installed
package.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any, Protocol, cast

from mmspec_ds.errors import ConfigError
from mmspec_ds.settings import Settings, nearest, validated
from mmspec_ds.systems.alignment.encoder import ObjectEncoder
from mmspec_ds.systems.alignment.objects import KINDS

_OURS = "mmspec_ds.systems.alignment.encoders."
ENCODERS: dict[str, str] = {
    "morgan": f"{_OURS}morgan:MorganEncoder",
    "smiles": f"{_OURS}smiles:SmilesEncoder",
    "composition": f"{_OURS}composition:CompositionEncoder",
    "antiberty": f"{_OURS}antiberty:AntiBERTyEncoder",
    "esm": f"{_OURS}esm:EsmEncoder",
    "starter": f"{_OURS}spectra:SpectraEncoder",
    "mmspec": f"{_OURS}spectra:SpectraEncoder",
    "genes": f"{_OURS}genes:GenesEncoder",
    "cell_model": f"{_OURS}cell_model:CellModelEncoder",
    "metatime": f"{_OURS}programmes:ProgrammesEncoder",
    "scgpt": f"{_OURS}scgpt:ScgptEncoder",
}
"""By name, the place of the class."""
FITS: dict[str, str] = {
    "genes": f"{_OURS}genes:GenesFit",
    "cell_model": f"{_OURS}cell_model:CellModelFit",
    "smiles": f"{_OURS}smiles:SmilesFit",
}
"""By name, the place of the settings with which an encoder is fitted to data; see `EncoderFit`."""

_PLACE = re.compile(r"[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*:[A-Za-z_]\w*")
_ATTRIBUTES = ("name", "kind", "width", "vectors", "identity", "encode")


class EncoderFit(Protocol):
    """Settings of a fit, which can be made with them."""

    def fit(self, files: Sequence[Path], folder: Path, progress: Callable[[float], None]) -> str:
        """Fit an encoder to the objects in files and write its folder; says in words what it is.

        Args:
            files: of objects of its kind.
            folder: to be made.
            progress: called with the share of the work that is done.

        Raises:
            DataError: a file cannot be read, or the folder not be written.
        """


class EncoderClass(Protocol):
    """What the registry asks of a class.

    Attributes:
        Options: its settings. Where they have a `path`, `NAME:PATH` gives it.
    """

    Options: type[Settings]

    def __call__(self, options: Any) -> ObjectEncoder:
        """An encoder with these options."""
        ...


def make_encoder(name: str, options: Mapping[str, Any] | None = None) -> ObjectEncoder:
    """The encoder of a name, ready to encode.

    Args:
        name: of `ENCODERS`; `NAME:PATH`, the same with the option `path`; or `package.module:Class` of another.
        options: its settings, in plain values.

    Raises:
        ConfigError: no such encoder, an option that it does not have, or a class that is no encoder.
        DataError: files that it needs are missing or damaged.
        UserError: a package that it needs is not installed.
    """
    known, colon, path = name.partition(":")
    given = dict(options or {})
    if known in ENCODERS:
        if colon and given.setdefault("path", path) != path:
            raise ConfigError(f"encoder {name}: path is {given['path']!r} as well: expected one of them")
        return _made(ENCODERS[known], given, known)
    if _PLACE.fullmatch(name):
        return _made(name, given, name)
    raise ConfigError(
        f"unknown encoder {name!r}; {nearest(known, ENCODERS, 'encoders')}; or package.module:Class of another"
    )


def make_fit(name: str, settings: Mapping[str, Any]) -> EncoderFit:
    """The settings with which an encoder is fitted.

    Raises:
        ConfigError: the encoder is not fitted, or a setting is none.
    """
    if name not in FITS:
        raise ConfigError(f"encoder {name!r} is not fitted to data; {nearest(name, FITS, 'ones that are')}")
    module, _, attribute = FITS[name].partition(":")
    return cast(EncoderFit, validated(getattr(import_module(module), attribute), settings, f"fit {name}"))


def _made(place: str, options: Mapping[str, Any], name: str) -> ObjectEncoder:
    module, _, attribute = place.partition(":")
    try:
        found = getattr(import_module(module), attribute, None)
    except ImportError as error:
        raise ConfigError(f"encoder {name}: {module} cannot be imported: {error}") from None
    kind = getattr(found, "Options", None)
    if found is None or not (isinstance(kind, type) and issubclass(kind, Settings)):
        raise ConfigError(
            f"encoder {name}: expected a class with Options, a class of mmspec_ds.settings.Settings"
        )
    encoder = cast(EncoderClass, found)(validated(kind, options, f"encoder {name}"))
    missing = [one for one in _ATTRIBUTES if not hasattr(encoder, one)]
    if missing or encoder.kind not in KINDS:
        wrong = f"has no {missing[0]}" if missing else f"is of kind {encoder.kind!r}"
        raise ConfigError(
            f"encoder {name}: {wrong}: expected {', '.join(_ATTRIBUTES)} of one of {', '.join(KINDS)}"
        )
    return encoder
