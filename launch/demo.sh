#!/usr/bin/env bash
# The main job on a laptop, in about a quarter of an hour on two cores: simulate spectra of small molecules, train
# the sparse model with 2 ranks that share its experts, train the dense one for as many steps, let both propose
# structures for molecules that neither has seen, and read the published shifts of three common compounds.
set -euo pipefail
cd "$(dirname "$0")/.."
launch/setup.sh
export PATH="$PWD/.venv/bin:$PATH"
# Without a GPU: say so to DeepSpeed, and let glibc keep the memory of one step for the next, which saves 8 % of it.
if ! command -v nvidia-smi >/dev/null; then
    export DS_ACCELERATOR=cpu
    export MALLOC_TRIM_THRESHOLD_=2147483648 MALLOC_MMAP_THRESHOLD_=33554432 MALLOC_TOP_PAD_=67108864
fi

train() {
    deepspeed --num_gpus 2 --no_local_rank --master_port "${MASTER_PORT:-29571}" --log_level error \
        --module mmspec_ds train "$@" --overwrite
}

if [ ! -f starter/test.parquet ]; then
    echo "demo: simulating 15,000 molecules with 1H and 13C NMR, IR and MS/MS, noise included"
    mmspec simulate --molecules 15000 --max-heavy-atoms 8 --seed 0 --out starter
fi
echo "demo: training the sparse model on 2 ranks, expert-parallel size 2"
train ds_configs/runs/demo.yaml
echo "demo: training the dense model for as many steps"
train ds_configs/runs/demo.yaml name=demo_dense moe=null training.ep_size=1
for model in runs/demo runs/demo_dense; do
    echo "demo: calibrating $model: how far its candidates and the predicted spectra can be trusted"
    mmspec calibrate "$model" --data starter/val.parquet --beam 20
done
echo "demo: proposing structures for molecules that neither model has seen (beam 20)"
mmspec evaluate runs/demo runs/demo_dense --data starter/test.parquet --controls starter/train.parquet \
    --beam 20 --limit 500 --json runs/demo/evaluation.json
echo "demo: reading published shifts of three common compounds with the starter model"
mmspec explain starter examples/ethyl_acetate/* --formula C4H8O2
mmspec explain starter examples/toluene/* --formula C7H8
mmspec explain starter examples/paracetamol/* --formula C8H9NO2
echo "demo: the figures are in runs/demo/evaluation.json; curves: .venv/bin/tensorboard --logdir runs"
