#!/usr/bin/env bash
# Real data alone, and synthetic data alone in both forms of style, at equal sample counts and steps, three seeds.
# usage: experiments/style/run.sh DATA_ROOT [more overrides]
# PYTHON names the interpreter where it is not that of .venv. Then: python experiments/style/table.py runs artifacts
set -euo pipefail
root=$1; shift
python="${PYTHON:-.venv/bin/python}"
for seed in 0 1 2; do
  common=(data=bbbc041seg "data.root=$root" scale=demo "seed=$seed" "$@")
  "$python" -m rbc_lightning +experiment=rd "${common[@]}"
  for style in modulated concat; do
    "$python" -m rbc_lightning +experiment=sd "translator.task.style=$style" "${common[@]}"
  done
done
