"""mmspec-ds: read molecular structures out of spectra with sparse mixture-of-experts on DeepSpeed.

    mmspec_ds.load("starter").predict(mmspec_ds.read("proton.jdx", "carbon.csv", formula="C9H8O4"))

`load` and `read` are those of `mmspec_ds.api`, which is imported when one of them is first used.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mmspec_ds.api import load as load
    from mmspec_ds.api import read as read

__version__ = "0.1.0"
__all__ = ["__version__", "load", "read"]


def __getattr__(name: str) -> Any:
    if name not in ("load", "read"):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from mmspec_ds import api

    return getattr(api, name)
