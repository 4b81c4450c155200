#!/usr/bin/env bash
# Make the starter model: simulate spectra of small molecules, learn from them, export the model at half the size.
#
#   launch/starter_model.sh [SMILES_FILE]
#
# With a file (a SMILES a line, plain or .gz) the molecules are made of fragments of those in it, without it all are
# enumerated. About a quarter of an hour for the spectra and an hour and a half for the model on two cores. What is
# there already is used again: the folder starter_set, and checkpoints of runs/starter. The model appears in the new
# folder starter_model. Molecules whose hash falls to one in ten (--hold-out measured) are left out: figures on
# measured spectra come from these.
#
# example:
#   launch/starter_model.sh moses_100k.smi.gz && mmspec predict starter_model carbon.csv
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

case ${1:-} in
    --help | -h) print_help && exit ;;
    -*) wrong_usage "unknown option $1" ;;
esac
[ $# -le 1 ] || wrong_usage "expected one file of SMILES, found $#"
[ $# -eq 0 ] || [ -f "$1" ] || wrong_usage "$1 is no file"

set_environment
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
if [ ! -f starter_set/train.parquet ]; then
    # The rest of the noise is drawn anew in training: here only what belongs to a molecule.
    mmspec simulate ${1:+--smiles "$1" --fragments} --molecules 140000 --max-heavy-atoms 12 --hold-out measured \
        --noise shift_spread=1 carbon_ppm=0.5 hydrogen_ppm=0.05 missing_exchangeable=0.5 \
        missing_peak=0 spurious_peak=0 unresolved=0 unknown_hydrogens=0 --out starter_set
fi
"$root/launch/one_node.sh" --ranks 1 "$root/ds_configs/runs/starter.yaml"
mmspec export --half runs/starter starter_model
