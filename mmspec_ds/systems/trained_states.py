"""The states that a trained model of any system has of the tokens of spectra, for systems that build on them.

A system that offers them has a module in `READERS`, with `read_states(folder)`.
"""

from collections.abc import Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from torch import Tensor

from mmspec_ds.errors import ConfigError
from mmspec_ds.spectra.records import Modality, Record
from mmspec_ds.systems.run_file import load_run_of

READERS = {
    "elucidation": "mmspec_ds.systems.elucidation.states",
    "fusion": "mmspec_ds.systems.fusion.states",
}
"""By the system of a run, the module that reads its states."""


class States(NamedTuple):
    """States of the tokens of B records, `hidden_BSD`, and the modality of each, `modality_BS`; `data.batch`'s
    PADDING where there is no token."""

    hidden_BSD: Tensor
    modality_BS: Tensor


class StatesReader(Protocol):
    """A frozen encoder of spectra.

    Attributes:
        modalities: that it reads.
        width: D, of a state.
        identity: what decides its states, in JSON's types.
    """

    modalities: tuple[Modality, ...]
    width: int
    identity: Mapping[str, Any]

    def states(self, records: Sequence[Record]) -> States:
        """The states of the tokens of some records, on the CPU.

        Raises:
            DataError: a record holds what cannot be encoded, or no spectrum that is read; names it.
        """


def read_states(model: str | Path) -> StatesReader:
    """The encoder of a trained run or an export, or of the model that comes with the package, `starter`.

    Raises:
        DataError: no such folder, or a file of it is missing or was altered.
        ConfigError: the model is of a system that offers no states.
    """
    system = load_run_of(model).system
    if system not in READERS:
        raise ConfigError(f"{model}: system is {system!r}: expected a model of {' or '.join(READERS)}")
    reader: StatesReader = import_module(READERS[system]).read_states(model)
    return reader
