#!/usr/bin/env bash
# The paper-size models on one GPU: full-width FCN-8s and DCAN, Faster R-CNN with ResNet-101, U-Net with ResNet-34.
# Crops of 256 px, since the smears are 640 x 480; checkpoints after every epoch, so that the same command goes on.
# usage: experiments/downstream_bbbc041seg/run_gpu.sh DATA_ROOT [more overrides]
set -euo pipefail
root=$1; shift
common=(+experiment=rd_aug data=bbbc041seg "data.root=$root" scale=paper trainer=gpu training.crop=256 training.batch_size=16
        training.steps=3000 training.steps_per_epoch=100)
python=${PYTHON:-.venv/bin/python}
"$python" -m rbc_lightning "${common[@]}" model=fcn8s "$@"
"$python" -m rbc_lightning "${common[@]}" model=dcan "$@"
"$python" -m rbc_lightning "${common[@]}" model=unet model.net.encoder=resnet34 "$@"
"$python" -m rbc_lightning "${common[@]}" model=faster_rcnn "$@"
