#!/usr/bin/env bash
# Both stages on real smears at demo size: stage 1 on halved images, stage 2 at full size, then sheets and the quality card.
# usage: experiments/pix2pixhd_bbbc041seg/run.sh DATA_ROOT [more overrides]
# PYTHON names the interpreter where it is not that of .venv.
set -euo pipefail
root=$1; shift
"${PYTHON:-.venv/bin/python}" -m rbc_lightning stage=translator data=bbbc041seg "data.root=$root" scale=demo \
  translator.stages=2 translator.crop=480 "$@"
