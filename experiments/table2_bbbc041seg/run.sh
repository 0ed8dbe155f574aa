#!/usr/bin/env bash
# The five columns of FCN-8s with three seeds on real smears at demo size, two cells at a time; then Table 2.
# usage: experiments/table2_bbbc041seg/run.sh DATA_ROOT [more overrides]
# PYTHON names the interpreter where it is not that of .venv.
set -euo pipefail
root=$1; shift
python=${PYTHON:-.venv/bin/python}
"$python" -m rbc_lightning +sweep=table2 model=fcn8s data=bbbc041seg "data.root=$root" scale=demo \
  hydra/launcher=joblib hydra.launcher.n_jobs=2 "$@"
"$python" -m rbc_lightning stage=report data=bbbc041seg "data.root=$root"
