"""What needs no network: the best FLAIR threshold and a voxel classifier, scan by scan.

Usage: python floors.py TABLE [OVERRIDE ...], such as

    python floors.py real.csv data=mri data.root=../shared/mri
    python floors.py phantom_0.csv data=mri_phantom data.phantom_seed=0

Both answer inside the rough brain alone; the threshold is the best on train by the mean Dice of scans, the classifier sees 20
hand-made features of every voxel. TABLE gets one row for each scan of `test` and `external`.
"""

import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import distance_transform_edt, gaussian_filter, gaussian_gradient_magnitude
from sklearn.ensemble import HistGradientBoostingClassifier

from rbc_lightning.app import compose
from rbc_lightning.commands.experiment import Experiment
from rbc_lightning.core.files import write_rows
from rbc_lightning.data.conversions import to_unit
from rbc_lightning.data.manifest import Manifest
from rbc_lightning.data.sample import Sample

THRESHOLDS = np.arange(0, 8, 0.1)  # robust deviations of the brain
SIGMAS = (0.9, 1.8, 3.6, 7.2)  # mm
BACKGROUND = 0.25  # share of the training scans' other voxels that the classifier learns from: it finds more, and more falsely
DEPTH = 8.0  # mm below the surface of the rough brain, which holds meninges and parts of the scalp


class Scan:
    """The slices of one scan: `image` (Z, H, W, C) in robust deviations of the brain, `brain` and `truth` bool (Z, H, W)."""

    def __init__(self, samples: list[Sample]) -> None:
        samples = sorted(samples, key=lambda sample: sample.slice or 0)
        self.name, self.split, self.spacing = samples[0].volume, samples[0].split, samples[0].spec.spacing or (1.0, 1.0)
        self.truth = np.stack([s.load_label_map() == 1 for s in samples])
        rough = np.stack([s.with_context().load_label_map() > 0 for s in samples])
        self.depth = np.stack([distance_transform_edt(part, self.spacing) for part in rough])
        self.brain = self.depth > DEPTH
        image = np.stack([to_unit(s.load_image(), s.spec) for s in samples])
        median = np.median(image[self.brain], axis=0)
        self.image = (image - median) / (1.4826 * np.median(np.abs(image[self.brain] - median), axis=0))

    def features(self) -> NDArray[np.float32]:
        """Of the brain's voxels (n, 20): each channel plain, smoothed, against what lies around, its slope; the place."""
        sigmas = [(0, *(sigma / mm for mm in self.spacing)) for sigma in SIGMAS]
        found = []
        for channel in np.moveaxis(self.image, -1, 0):
            smooth = [gaussian_filter(channel, sigma) for sigma in sigmas]
            slope = np.stack([gaussian_gradient_magnitude(part, sigmas[0][1:]) for part in channel])
            found += [channel, *smooth, channel - smooth[2], channel - smooth[3], slope]
        place = np.stack(np.nonzero(self.brain)).astype(np.float32)
        z, y, x = (place - place.mean(axis=1, keepdims=True)) / place.std(axis=1, keepdims=True).clip(1e-6)
        columns = [*(part[self.brain] for part in found), np.abs(x), y, z, self.depth[self.brain]]
        return np.stack(columns, axis=1).astype(np.float32)

    def dice(self, answer: NDArray[np.bool_]) -> float:
        """Of an answer for the brain's voxels (n,); lesions outside count as missed."""
        total = int(answer.sum()) + int(self.truth.sum())
        return 2 * int((answer & self.truth[self.brain]).sum()) / total if total else 1.0


def floors(manifest: Manifest, seed: int = 0) -> Iterator[dict[str, object]]:
    """The Dice of both on every scan that is not trained on."""
    grouped: dict[str, list[Sample]] = {}
    for sample in manifest.samples:
        grouped.setdefault(sample.volume or sample.sample_id, []).append(sample)
    scans = [Scan(samples) for samples in grouped.values()]
    train = [scan for scan in scans if scan.split == "train"]
    flair = {scan.name: scan.image[scan.brain, 0] for scan in scans}
    level = max(THRESHOLDS, key=lambda level: float(np.mean([scan.dice(flair[scan.name] > level) for scan in train])))
    classifier = train_classifier(train, seed)
    for scan in scans:
        if scan.split in ("test", "external"):
            answer = np.asarray(classifier.predict(scan.features()), dtype=np.bool_)
            yield {
                "scan": scan.name,
                "split": scan.split,
                "lesion_voxels": int(scan.truth.sum()),
                "threshold": round(float(level), 1),
                "threshold_dice": round(scan.dice(flair[scan.name] > level), 3),
                "classifier_dice": round(scan.dice(answer), 3),
            }


def train_classifier(train: list[Scan], seed: int) -> HistGradientBoostingClassifier:
    """Gradient boosting on all lesion voxels and a part of the others."""
    rng, features, truth = np.random.default_rng(seed), [], []
    for scan in train:
        lesion = scan.truth[scan.brain]
        kept = lesion | (rng.random(lesion.size) < BACKGROUND)
        features.append(scan.features()[kept])
        truth.append(lesion[kept])
    classifier = HistGradientBoostingClassifier(max_iter=150, random_state=seed, early_stopping=False)
    return classifier.fit(np.concatenate(features), np.concatenate(truth))


def main(table: Path, overrides: list[str]) -> None:
    """Read the data set, write and print the table."""
    experiment = Experiment(compose(overrides))
    rows = list(floors(experiment.reader.read(experiment.store)))
    write_rows(table, rows)
    print(table.read_text())
    for split in ("test", "external"):
        for column in ("threshold_dice", "classifier_dice"):
            values = [float(str(row[column])) for row in rows if row["split"] == split]
            print(f"{split} {column}: {np.mean(values):.3f} over {len(values)} scans" if values else f"{split}: none")


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
