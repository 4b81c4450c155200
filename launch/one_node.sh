#!/usr/bin/env bash
# Train on this machine: one process for each GPU, or one on the CPU, or as many as asked for.
#
#   launch/one_node.sh [--ranks N] [--port P] RUN.yaml [section.key=value ...] [--overwrite]
#
# Goes on from the run's last checkpoint if it has one; --overwrite begins anew. SIGTERM or Ctrl-C end the run with a
# checkpoint and status 143. Two runs on one machine need different ports (default: MASTER_PORT, or 29500).
#
# example:
#   launch/one_node.sh --ranks 2 ds_configs/runs/demo.yaml training.batch_size=16 training.ep_size=2
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

ranks=
port=${MASTER_PORT:-29500}
while [ $# -gt 0 ]; do
    case $1 in
        --help | -h) print_help && exit ;;
        --ranks | --port)
            is_number "${2:-}" || wrong_usage "$1 needs a positive whole number, found '${2:-}'"
            if [ "$1" = --ranks ]; then ranks=$2; else port=$2; fi
            shift 2
            ;;
        -*) wrong_usage "expected a run file before $1" ;;
        *) break ;;
    esac
done
[ $# -gt 0 ] || wrong_usage "expected a run file"

set_environment
if [ -z "$ranks" ]; then
    ranks=1
    if command -v nvidia-smi >/dev/null; then ranks=$(nvidia-smi --list-gpus | wc -l); fi
fi
# shellcheck disable=SC2046 # nothing, or one word
run_to_the_end deepspeed --num_gpus "$ranks" --no_local_rank --master_port "$port" --log_level error \
    --module mmspec_ds train "$@" $(as_asked "$@")
