#!/usr/bin/env bash
# The main job on a laptop, in about a quarter of an hour on two cores: simulate spectra of small molecules, train the
# sparse model and a dense one of as many active parameters for as many steps, side by side; let both propose structures
# for molecules that neither has seen, and print what was equal. Then a short run on two ranks that share the experts,
# whose losses must be those of one rank, and the published shifts of three common compounds.
#
# STEPS and MOLECULES in the environment make it shorter or longer.
set -euo pipefail
cd "$(dirname "$0")/.."
launch/setup.sh
export PATH="$PWD/.venv/bin:$PATH"
# Without a GPU: say so to DeepSpeed, and let glibc keep the memory of one step for the next, which saves 8 % of it.
if ! command -v nvidia-smi >/dev/null; then
    export DS_ACCELERATOR=cpu
    export MALLOC_TRIM_THRESHOLD_=2147483648 MALLOC_MMAP_THRESHOLD_=33554432 MALLOC_TOP_PAD_=67108864
fi
steps=${STEPS:-2500}
molecules=${MOLECULES:-30000} # of up to 8 heavy atoms; a list of 30,000 comes with the package
cores=$(getconf _NPROCESSORS_ONLN)
threads=$((cores > 1 ? cores / 2 : 1)) # of each of two processes
# As many parameters as work on a token of the sparse model: two experts of the mean width, 160.
dense=(name=demo_dense moe=null model.encoder_ffn_width=320)
mkdir -p runs

# side_by_side LOG COMMAND -- COMMAND: run both at once. The second writes to LOG, whose last line is shown at the end.
# If the first fails, the second is ended; if the second fails, the end of LOG is shown when the first is done.
side_by_side() {
    local log=$1 first=() status=0
    shift
    while [ "$1" != -- ]; do
        first+=("$1")
        shift
    done
    shift
    OMP_NUM_THREADS=$threads "$@" >"$log" 2>&1 &
    other=$! # not local: the trap needs it
    trap 'kill "$other" 2>/dev/null || true' EXIT
    OMP_NUM_THREADS=$threads "${first[@]}"
    wait "$other" || status=$?
    trap - EXIT
    tail -n $((status ? 20 : 1)) "$log"
    return "$status"
}

train=(mmspec train ds_configs/runs/demo.yaml training.steps="$steps" training.threads="$threads"
    data.cache=starter/cache --overwrite)

if [ ! -f starter/test.parquet ]; then
    echo "demo: simulating $molecules molecules with 1H and 13C NMR, IR and MS/MS, noise included"
    mmspec simulate --molecules "$molecules" --max-heavy-atoms 8 --seed 0 --out starter
fi
echo "demo: training the sparse model and the dense one for $steps steps each, side by side"
side_by_side runs/demo_dense.log "${train[@]}" -- "${train[@]}" "${dense[@]}"
echo "demo: calibrating both: how far their candidates and the predicted spectra can be trusted"
side_by_side runs/demo_dense.log mmspec calibrate runs/demo --data starter/val.parquet --beam 20 --limit 750 -- \
    mmspec calibrate runs/demo_dense --data starter/val.parquet --beam 20 --limit 750
echo "demo: proposing structures for molecules that neither model has seen (beam 20)"
mmspec evaluate runs/demo runs/demo_dense --data starter/test.parquet --controls starter/train.parquet \
    --beam 20 --limit 500 --json runs/demo/evaluation.json

echo "demo: 100 steps on one rank, and on two ranks that share the experts: the losses must agree"
short=(training.steps=100 training.log_every=1 training.pictures=0 training.conflict_samples=0 training.threads=1
    data.train='[starter/val.parquet]' data.validation='[starter/test.parquet]' --overwrite)
mmspec train ds_configs/runs/demo.yaml name=demo_one_rank "${short[@]}"
deepspeed --num_gpus 2 --no_local_rank --master_port "${MASTER_PORT:-29571}" --log_level error \
    --module mmspec_ds train ds_configs/runs/demo.yaml name=demo_two_ranks \
    training.ep_size=2 training.batch_size=16 "${short[@]}"
python launch/compare_losses.py runs/demo_one_rank runs/demo_two_ranks --largest 1e-3

echo "demo: reading published shifts of three common compounds with the starter model"
mmspec explain starter examples/ethyl_acetate/* --formula C4H8O2
mmspec explain starter examples/toluene/* --formula C7H8
mmspec explain starter examples/paracetamol/* --formula C8H9NO2
echo "demo: the figures are in runs/demo/evaluation.json; curves: .venv/bin/tensorboard --logdir runs"
