#!/bin/bash
# Extract the features of photos and texts on a running Ray cluster, and index them:
#   ray job submit --address http://HEAD:8265 --working-dir examples/scale -- \
#     bash catalogue.sh /shared/photos /shared/runs/features /shared/catalogue
# All machines need commonspace[ray], ray[default] and the folders under the same paths. The run was
# trained on features of these encoders. The same line continues after a stop, and skips what is done.
set -euo pipefail

data=$1
run=$2
out=$3

mkdir -p "$out"
commonspace extract "$data" --image hf:dinov2 --text st:minilm --engine ray --address auto \
  --rows-per-file 100000 --cache "$out/cache" --out "$out/features"
if [ -e "$out/index/store.sqlite" ]; then
  commonspace update "$out/index" "$out/features"
else
  commonspace index "$run" "$out/features" --image hf:dinov2 --text st:minilm --kind auto \
    --compress 64 --processes 4 --out "$out/index"
fi
