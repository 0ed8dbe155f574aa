#!/usr/bin/env bash
# Allender et al.'s ablation on real smears at demo size, and the columns with synthetic data painted by the mode-seeking Pix2Pix.
# usage: experiments/mode_seeking_bbbc041seg/run.sh DATA_ROOT [more overrides]
# PYTHON names the interpreter where it is not that of .venv. Then: python experiments/mode_seeking_bbbc041seg/table.py artifacts
# The other columns are those of experiments/table2_bbbc041seg: with the same runs directory they are found finished.
set -euo pipefail
root=$1; shift
python="${PYTHON:-.venv/bin/python}"
common=(data=bbbc041seg "data.root=$root" scale=demo)
"$python" -m rbc_lightning +sweep=mode_seeking "${common[@]}" "$@"
"$python" -m rbc_lightning stage=translator translator=mode_seeking_pix2pix translator.task.lambda_mode_seeking=1 "${common[@]}" "$@"
"$python" -m rbc_lightning +sweep=table2 model=fcn8s mix=sd,rd_sd,rd_sd_aug seed=0 translator=mode_seeking_pix2pix "${common[@]}" "$@"
"$python" -m rbc_lightning +sweep=table2 model=fcn8s mix=sd,rd_sd_aug seed=0 translator=mode_seeking_pix2pix +translator/ablation=without_term "${common[@]}" "$@"
