#!/usr/bin/env bash
# Image and mask drawn together from noise, on brain scans: quality of each GAN's pairs at an equal budget; a U-Net on them alone;
# the five columns, every patient tested once, on real scans and on 40 phantom subjects; the winner's ensemble on real slices alone.
# usage: experiments/wmh_pairs/run.sh DATA_ROOT [more overrides, such as trainer.precision=bf16-mixed]
# PYTHON names the interpreter where it is not that of .venv; JOBS how many runs go at once; GAN the one of the columns.
set -euo pipefail
root=$1; shift
python=${PYTHON:-.venv/bin/python} gan=${GAN:-dcgan_gp}
several=(hydra/launcher=joblib "hydra.launcher.n_jobs=${JOBS:-2}")
# Brains without skull at 1.8 mm, of which crops of 64 px, the size of the pairs, are 115 mm wide; real lesions of one pixel there are many.
small=(scale=demo data.strip=true scale.slices.side=128 scale.slices.spacing=1.8 training.crop=64 model=unet_novoselov translator.seed=0 "$@")
real=(data=mri "data.root=$root")
phantom=(data=mri_phantom data.n_train=30 data.n_test=10 data.folds=5)

for name in dcgan dcgan_gp wgan wgan_gp; do
  "$python" -m rbc_lightning stage=pairs "pairs=$name" pairs.speck=1 synthetic.count=200 "${real[@]}" "${small[@]}"
  "$python" -m rbc_lightning -m mix=sd "pairs=$name" pairs.speck=1 seed=0,1,2 "${real[@]}" "${small[@]}" "${several[@]}"
done
"$python" -m rbc_lightning -m mix=rd seed=0,1,2 "${real[@]}" "${small[@]}" "${several[@]}"

for data in real phantom; do
  declare -n chosen=$data
  "$python" -m rbc_lightning +sweep=leave_one_out "pairs=$gan" pairs.speck=1 "${chosen[@]}" data.name="$data" "${small[@]}" "${several[@]}"
  "$python" -m rbc_lightning +sweep=leave_one_out pairs=lesion_paste mix=rd_sd,rd_sd_aug "${chosen[@]}" data.name="$data" "${small[@]}" "${several[@]}"
  "$python" -m rbc_lightning +sweep=leave_one_out 'data.targets=[lesion,rim]' mix=rd,rd_aug "${chosen[@]}" data.name="$data" "${small[@]}" "${several[@]}"
  "$python" -m rbc_lightning stage=report report.score=dice_lesion "${chosen[@]}" data.fold=0 data.name="$data" "${small[@]}"
done

for mix in rd rd_aug; do
  "$python" -m rbc_lightning mix=$mix model=wmh_unet model.members=3 scale=demo "${real[@]}" "$@"
done
