#!/usr/bin/env bash
# The five columns on real smears at demo size; the first one that needs it trains the GAN, the others reuse it.
# usage: experiments/first_light/run.sh DATA_ROOT [more overrides]
# PYTHON names the interpreter where it is not that of .venv.
set -euo pipefail
root=$1; shift
for column in rd_sd_aug rd sd rd_aug rd_sd; do
  echo "== $column"
  "${PYTHON:-.venv/bin/python}" -m rbc_lightning "+experiment=$column" data=bbbc041seg "data.root=$root" scale=demo "$@"
done
