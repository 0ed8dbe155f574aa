#!/usr/bin/env bash
# What a GPU has to show, in about ten minutes: tests with the gpu mark, the benchmarks, one run of each kind at demo size, a plan.
# usage: experiments/gpu/run.sh OUT [PYTHON]; figures and logs land in OUT. Not yet run.
set -u
out=$(mkdir -p "$1" && cd "$1" && pwd)
python=${2:-.venv/bin/python}
cd "$(dirname "$0")/../.."
run() { "$python" -m rbc_lightning "$@" trainer=gpu trainer.progress_bar=false artifacts_dir="$out/artifacts" runs_dir="$out/runs"; }
{
  "$python" -c "import torch; print(torch.__version__, torch.cuda.get_device_name())"
  timeout 120 "$python" -m pytest -q -m gpu
  timeout 120 "$python" experiments/benchmarks/bench_translator.py --gpu
  for model in fcn8s dcan faster_rcnn; do timeout 60 bash -c "$(declare -f run); python=$python out=$out; run +experiment=rd_aug model=$model"; done
  run +experiment=rd_sd_aug translator.stages=2
  run +experiment=rd_sd_aug data=mri_phantom
  run stage=plan +sweep=table2 scale=paper
} 2>&1 | tee "$out/log.txt"
cp "$out"/runs/*/metrics.json "$out/" 2>/dev/null || true
