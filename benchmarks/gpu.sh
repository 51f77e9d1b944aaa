#!/usr/bin/env bash
# Speed on a machine with a GPU, about eight minutes: the table of benchmarks/bench/device.py, then the tests that choose the device themselves.
#     benchmarks/gpu.sh                  prints to the terminal, and to $OUT/gpu.txt where OUT names a folder
#     SMALLEST=1 DEVICE=cpu benchmarks/gpu.sh    rehearses it on the CPU in seconds, without the tests
set -euo pipefail
cd "$(dirname "$0")/.."
PYTHON=${PYTHON:-python}
export PYTHONPATH=$PWD${PYTHONPATH:+:$PYTHONPATH}
OUT=${OUT:-$(mktemp -d)}
"$PYTHON" -m benchmarks.bench.device --device "${DEVICE:-auto}" ${SMALLEST:+--smallest} | tee "$OUT/gpu.txt"
if [ -z "${SMALLEST:-}" ]; then
  timeout 150 "$PYTHON" -m pytest -q -p no:cacheprovider -n 4 -m 'not slow' tests/test_machine.py tests/training tests/losses tests/networks | tail -5 | tee -a "$OUT/gpu.txt"
fi
