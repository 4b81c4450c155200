#!/usr/bin/env bash
# Makes .venv and installs the project with all that it needs, once: a second call returns at once unless
# pyproject.toml has changed. Needs Python 3.11 or newer and a package registry.
set -euo pipefail
cd "$(dirname "$0")/.."
python="${PYTHON:-python3}"

stamp=.venv/installed
want=$(cksum pyproject.toml launch/setup.sh)
if [ -x .venv/bin/mmspec ] && [ "$(cat "$stamp" 2>/dev/null)" = "$want" ]; then
    exit 0
fi
"$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || {
    echo "setup: $python is $("$python" --version 2>&1): expected Python 3.11 or newer; name one by PYTHON=..." >&2
    exit 1
}
[ -x .venv/bin/python ] || "$python" -m venv .venv
echo "setup: installing into .venv (a few minutes)"
pip() { .venv/bin/python -m pip --disable-pip-version-check --quiet install "$@" 2> >(grep -v '^WARNING' >&2); }
# DeepSpeed's build imports torch, so torch comes first. Without an NVIDIA driver a fixed release keeps what comes
# later from asking for another one, whose CUDA packages are several gigabytes.
pip setuptools wheel
if command -v nvidia-smi >/dev/null; then pip 'torch>=2.11'; else pip 'torch==2.13.0'; fi
pip --no-build-isolation 'deepspeed==0.19.8'
pip --no-build-isolation --editable '.[dev]'
echo "$want" >"$stamp"
