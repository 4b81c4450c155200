#!/usr/bin/env bash
# Check the kernels on this machine's GPU: correctness, memory checks, then speed. About 10 minutes.
# Needs torch, triton and pytest (hypothesis for the dispatch), and this checkout; for decoding pydantic as well, and
# transformers to compare with; for training steps the whole project's packages and a parquet file of the benchmark's
# schema.
#
#   launch/gpu_check.sh [OUTPUT_FOLDER [RECORDS.parquet]]
#
# It measures speed. What sparse experts are worth on this GPU is `mmspec study main --budget gpu` (some minutes), which
# trains the sparse model and the dense ones with equal steps and writes a table with pictures; run it after this check.
#
# Without a GPU it says so, and runs the same checks small: kernels in Triton's interpreter, speed of the CPU path.
set -u
cd "$(dirname "$0")/.."
out=${1:-gpu_check}
records=${2:-}
mkdir -p "$out"
out=$(cd "$out" && pwd)
export PYTHONPATH="$PWD:$PWD/kernels:$PWD/benchmarks${PYTHONPATH:+:$PYTHONPATH}"
python=${PYTHON:-python}
failed=0
summary="$out/summary.txt"
: >"$summary"

note() { echo "$*" | tee -a "$summary"; }

# step NAME SECONDS COMMAND... : run it, keep its output in a file, note how it ended.
step() {
    local name=$1 limit=$2
    shift 2
    local start=$SECONDS status=0
    timeout "$limit" "$@" >"$out/$name.log" 2>&1 || status=$?
    if [ $status -eq 0 ]; then
        note "$(printf '%-22s passed  %4d s' "$name" $((SECONDS - start)))"
    else
        note "$(printf '%-22s FAILED  %4d s  status %d, see %s' "$name" $((SECONDS - start)) $status "$out/$name.log")"
        tail -n 25 "$out/$name.log"
        failed=1
    fi
}

device=$($python -c 'import torch; print(torch.cuda.get_device_name() if torch.cuda.is_available() else "")')
checks="tests/kernels/on_device"
pytest="$python -m pytest -q -p no:cacheprovider --import-mode=prepend -c /dev/null --rootdir $checks"
if [ -z "$device" ]; then
    note "no GPU was found: the kernels run in Triton's interpreter, and speeds are those of the CPU path"
    export TRITON_INTERPRET=1
    files="$checks/check_route.py"
    shapes="tiny"
    record="--no-csv"
    decode="--shape tiny --threads 1"
    train="--run ds_configs/runs/demo.yaml --batch-size 2 --steps 2 --warm-up 1 --threads 1 --only sparse"
    train="$train --no-memory --no-csv"
else
    note "$device"
    files="$checks/check_route.py $checks/check_experts.py"
    shapes="paper decode-64 paper-4096"
    record=""
    decode="--shape paper-64 --dtype bfloat16"
    train="--batch-size 64 --steps 30"
fi

if $python -c 'import hypothesis' 2>/dev/null; then
    files="$checks/check_dispatch.py $files"
else
    note "hypothesis is not installed: the dispatch is checked through the layer only"
fi
# Correctness: float32, float16 and, on a GPU, bfloat16; outputs and all gradients.
step correctness 240 $pytest $files
if [ -n "$device" ] && command -v compute-sanitizer >/dev/null; then
    few="one_token or empty_expert"
    for tool in memcheck racecheck; do
        step "$tool" 60 compute-sanitizer --tool $tool --error-exitcode 9 \
            $pytest $checks/check_experts.py -k "sparse_ffn and float32 and ($few)"
    done
else
    note "compute-sanitizer skipped: no GPU, or the tool is not installed"
fi
unset TRITON_INTERPRET
for shape in $shapes; do
    step "speed_$shape" 100 $python benchmarks/kernels.py --shape "$shape" --no-deepspeed $record
done
# Beam search: correctness in float64, then speed against transformers, and sparse against dense at beam 5.
if $python -c 'import pydantic' 2>/dev/null; then
    step decoding 120 $python benchmarks/decoding.py $decode $record
    step decoding_sparse 120 $python benchmarks/decoding.py --sparse-and-dense --batch 1 $decode $record
    whole="decoding decoding_sparse"
else
    whole=""
    note "decoding skipped: pydantic is not installed"
fi
# Training steps at the paper's sizes: sparse, the paper's dense baseline, and two with the sparse one's spectra.
if [ -z "$records" ]; then
    note "training steps skipped: no RECORDS.parquet was named"
elif $python -c 'import deepspeed, pyarrow, pydantic, rdkit, safetensors' 2>/dev/null; then
    step training 240 $python benchmarks/step.py "$records" $train
    whole="$whole training"
else
    note "training steps skipped: one of deepspeed, pyarrow, pydantic, rdkit, safetensors is not installed"
fi

echo
echo "===== summary ====="
cat "$summary"
for shape in $shapes; do
    [ -f "$out/speed_$shape.log" ] && echo "--- $shape" && grep -v '^$' "$out/speed_$shape.log" | tail -n 24
done
for name in $whole; do
    [ -f "$out/$name.log" ] && echo "--- $name" && grep -v '^$' "$out/$name.log" | tail -n 12
done
exit $failed
