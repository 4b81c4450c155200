#!/usr/bin/env bash
# Train on several machines that a hostfile lists: a line for each, its name and how many processes it takes.
#
#   node-a slots=8
#   node-b slots=8
#
# Without ssh, on each machine, with its number in the file, from 0 (start them within the timeout of each other):
#   launch/many_nodes.sh --node R [--master ADDRESS] [--port P] HOSTFILE RUN.yaml [section.key=value ...]
# With ssh without passwords and pdsh, on one machine for all:
#   launch/many_nodes.sh [--master ADDRESS] [--port P] HOSTFILE RUN.yaml [section.key=value ...]
#
# ADDRESS is that of the first machine as the others reach it (default: its name in the file). All machines see the
# checkout, the data and the run's folder under the same paths. Goes on from the run's last checkpoint if it has one;
# --overwrite begins anew. SIGTERM on any machine ends the run everywhere with a checkpoint and status 143; over ssh
# the machines have 30 s for it, and the status is 1.
#
# example:
#   pdsh -S -w node-a,node-b "cd $PWD && launch/many_nodes.sh --node %n hosts.txt ds_configs/runs/alberts.yaml"
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

node=
master=
port=${MASTER_PORT:-29500}
while [ $# -gt 0 ]; do
    case $1 in
        --help | -h) print_help && exit ;;
        --node)
            [[ ${2:-} =~ ^[0-9]+$ ]] || wrong_usage "--node needs a number from 0, found '${2:-}'"
            node=$2
            shift 2
            ;;
        --master)
            [ -n "${2:-}" ] || wrong_usage "--master needs an address"
            master=$2
            shift 2
            ;;
        --port)
            is_number "${2:-}" || wrong_usage "--port needs a positive whole number, found '${2:-}'"
            port=$2
            shift 2
            ;;
        -*) wrong_usage "expected a hostfile before $1" ;;
        *) break ;;
    esac
done
[ $# -gt 1 ] || wrong_usage "expected a hostfile and a run file"
hostfile=$1
shift
[ -r "$hostfile" ] || wrong_usage "$hostfile cannot be read: expected a hostfile"
hosts=$(tr -d '\r' <"$hostfile" | sed 's/#.*//' | awk 'NF { print $1 }')
[ -n "$hosts" ] || wrong_usage "$hostfile names no machine"
count=$(wc -l <<<"$hosts")
fault=$(fault_of_hostfile "$hostfile")
if [ -n "$fault" ]; then
    echo "many_nodes.sh: $hostfile: $fault" >&2
    exit 1
fi
[ -z "$node" ] || [ "$node" -lt "$count" ] || wrong_usage "--node is $node, but $hostfile names $count machines"

set_environment
reach=(--hostfile "$hostfile" --master_addr "${master:-$(head -n 1 <<<"$hosts")}" --master_port "$port")
if [ -n "$node" ]; then
    reach+=(--no_ssh --node_rank "$node")
else
    # pdsh hands on nothing of our environment but what this file names.
    DS_ENV_FILE=$(mktemp)
    export DS_ENV_FILE
    trap 'rm -f "$DS_ENV_FILE"' EXIT
    env | grep -E '^(PATH|DS_ACCELERATOR|MALLOC_[A-Z_]+|OMP_NUM_THREADS|GLOO_SOCKET_IFNAME)=' >"$DS_ENV_FILE"
fi
# shellcheck disable=SC2046 # nothing, or one word
run_to_the_end deepspeed "${reach[@]}" --no_local_rank --log_level error \
    --module mmspec_ds train "$@" $(as_asked "$@")
