#!/usr/bin/env bash
# Table 2 on real smears at demo size, two cells at a time: FCN-8s with three seeds, the other rows with one or two, the curves; then the report.
# usage: experiments/table2_bbbc041seg/run.sh DATA_ROOT [more overrides]
# PYTHON names the interpreter where it is not that of .venv.
set -euo pipefail
root=$1; shift
python=${PYTHON:-.venv/bin/python}
common=(data=bbbc041seg "data.root=$root" scale=demo hydra/launcher=joblib hydra.launcher.n_jobs=2)
"$python" -m rbc_lightning +sweep=table2 model=fcn8s "${common[@]}" "$@"
"$python" -m rbc_lightning +sweep=table2 model=dcan,faster_rcnn seed=0,1 "${common[@]}" "$@"
"$python" -m rbc_lightning +sweep=ratio seed=0 "${common[@]}" "$@"
"$python" -m rbc_lightning +sweep=real_images seed=0 mix=rd_aug,rd_sd_aug data.n_real_images=5,10,20 "${common[@]}" "$@"
"$python" -m rbc_lightning stage=report data=bbbc041seg "data.root=$root"
