#!/usr/bin/env bash
# The tests: all but those marked slow or gpu.
set -euo pipefail
cd "$(dirname "$0")/.."
launch/setup.sh
export PATH="$PWD/.venv/bin:$PATH"   # the tests start `deepspeed`
exec python -m pytest "$@"
