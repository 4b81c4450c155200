"""The hardware, system and versions of packages that a run uses."""

import platform
import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch

PACKAGES = ("mmspec-ds", "torch", "deepspeed", "triton", "numpy", "rdkit")


def describe(device: torch.device) -> dict[str, Any]:
    """Versions, the commit of a checkout, device and system, in JSON's types."""
    return {
        "versions": {"python": platform.python_version(), **_versions()},
        "commit": commit(),
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else _processor(),
        "system": f"{platform.system()} {platform.release()}",
    }


def commit() -> str | None:
    """The commit of the checkout that this package is run from, "-dirty" behind it where tracked files differ;
    None for an installed package."""
    here = Path(__file__).resolve()
    known = _git(here.parent, "ls-files", "--error-unmatch", here.name)
    return None if known is None else _git(here.parent, "describe", "--always", "--dirty", "--exclude=*")


def _git(folder: Path, *arguments: str) -> str | None:
    command = ["git", "-C", str(folder), *arguments]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=10, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 and done.stdout.strip() else None


def _versions() -> dict[str, str]:
    found = {}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    named = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(named, platform.machine())
