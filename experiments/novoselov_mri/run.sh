#!/usr/bin/env bash
# The four columns of Novoselov and Smirnov 2024 on real scans: five folds over the patients, three seeds, one GAN a fold;
# another form of the GAN with one seed;
# 30 real slices for as many epochs as the large columns have, which is confounded; a U-Net on all real slices of the table's split; reports.
# usage: experiments/novoselov_mri/run.sh DATA_ROOT [more overrides, such as trainer.precision=bf16-mixed]
# PYTHON names the interpreter where it is not that of .venv; JOBS how many runs go at once.
set -euo pipefail
root=$1; shift
python=${PYTHON:-.venv/bin/python}
here=("data.root=$root" scale=demo hydra/launcher=joblib "hydra.launcher.n_jobs=${JOBS:-2}" "$@")
columns=('data.targets=[lesion,ventricles]' data.folds=5 data.fold=0,1,2,3,4 translator.seed=0)
# Fold by fold, so that two runs at once do not wait for the same GAN.
"$python" -m rbc_lightning +sweep=novoselov mix=rd_sd seed=0 training.steps=600 "${columns[@]}" data.name=columns "${here[@]}"
"$python" -m rbc_lightning +sweep=novoselov training.steps=600 "${columns[@]}" data.name=columns "${here[@]}"
# Lesions and look-alikes told as one, seed 0.
"$python" -m rbc_lightning +sweep=novoselov mix=rd_sd,rd_sd_aug seed=0 training.steps=600 "${columns[@]}" data.name=alike \
  'translator.task.alike={lesion: bright}' "${here[@]}"
# 16 epochs of 300 slices are 600 steps.
"$python" -m rbc_lightning +sweep=novoselov mix=rd seed=0 training.epochs=16 "${columns[@]}" data.name=equal_epochs "${here[@]}"
"$python" -m rbc_lightning -m data=mri +experiment=rd_aug seed=0,1,2 "${here[@]}"
for name in columns equal_epochs; do
  "$python" -m rbc_lightning stage=report +sweep=novoselov hydra.mode=RUN "${columns[@]:0:2}" data.fold=0 "data.name=$name" "data.root=$root" "$@"
done
"$python" -m rbc_lightning stage=report data=mri "data.root=$root" "$@"
