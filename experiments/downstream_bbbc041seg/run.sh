#!/usr/bin/env bash
# Every model on real and augmented real smears at demo size.
# usage: experiments/downstream_bbbc041seg/run.sh DATA_ROOT [more overrides]
# MODELS names some of them; PYTHON the interpreter where it is not that of .venv.
set -euo pipefail
root=$1; shift
for model in ${MODELS:-fcn8s unet dcan unet_contour faster_rcnn}; do
  echo "== $model"
  "${PYTHON:-.venv/bin/python}" -m rbc_lightning +experiment=rd_aug "model=$model" data=bbbc041seg "data.root=$root" scale=demo "$@"
done
