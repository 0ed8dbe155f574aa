"""`stage=predict` with a run that was trained on slices of scans: masks on the grid of each scan, its lesions, pictures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rich.progress import track

from rbc_lightning.commands.predict_splits import NEW, tell_seen
from rbc_lightning.commands.words import counted
from rbc_lightning.core.files import write_csv
from rbc_lightning.core.progress import console, tell
from rbc_lightning.data.volumes.doctor.finding import name_some
from rbc_lightning.data.volumes.doctor.head import head_mask, size_finding
from rbc_lightning.data.volumes.intensity import brain_mask
from rbc_lightning.data.volumes.lesions import COLUMNS, Lesion, find_lesions
from rbc_lightning.data.volumes.nifti import Volume, check_same_grid, read_labels, read_volume, write_volume
from rbc_lightning.data.volumes.preparation import MOST_LOST, Preparation, share_outside
from rbc_lightning.data.volumes.scan import Scan
from rbc_lightning.data.volumes.upright import upright, upright_sides
from rbc_lightning.errors import InputError
from rbc_lightning.metrics.classes import class_dice, count_pixels
from rbc_lightning.report.figures.planes import BLUE, VERMILION, ThreePlanes, save_planes
from rbc_lightning.segmenters.base import BaseTask
from rbc_lightning.segmenters.training import find_classes

Labels = NDArray[np.integer]
_MOST_OF_BRAIN = 0.5  # by voxels: no lesions are so large, tumours hardly a fifth
# Splits that tell how good a run is, and what their scans are called; "" where splits are not known.
_SCORED = {"test": "test scan", "external": "external scan", NEW: "new scan", "": "scan"}


@dataclass(frozen=True)
class ScansFound:
    """Where the results are, of which scans, what was found in all, what was skipped, and Dice where there are masks.

    Scans that the run was fitted to have no part in the mean; see `predict_splits.splits_of`.
    """

    output: Path
    scans: tuple[str, ...]
    lesions: int
    ml: float
    skipped: tuple[str, ...]
    dice: Mapping[str, float]  # by scan, of all classes together
    splits: Mapping[str, str]  # by scan, in the run; empty where it is not known

    def summary(self) -> str:
        """One line for the end of the run."""
        skipped = f"; skipped {', '.join(self.skipped)}" if self.skipped else ""
        return (
            f"{counted(self.lesions, 'lesion')}, {self.ml:.1f} ml, in {counted(len(self.scans), 'scan')}, in {self.output} "
            f"(labels/, overlays/, lesions.csv, scans.csv){self._mean_dice()}{skipped}"
        )

    def _mean_dice(self) -> str:
        means = []
        for split, what in _SCORED.items():
            values = [value for scan, value in self.dice.items() if self.splits.get(scan, "") == split]
            if values:
                means.append(f"{np.mean(values):.2f} over {counted(len(values), what)}")
        if means:
            return f"; mean Dice {', '.join(means)}"
        return "; no mean Dice, since the run was fitted to all scans with a mask" if self.dice else ""


def find_in_scans(
    task: BaseTask,
    preparation: Preparation,
    scans: Sequence[Scan],
    errors: Sequence[InputError],
    splits: Mapping[str, str],
    output: Path,
    precision: str,
) -> ScansFound:
    """Write a mask, an overlay and the lesions of every scan; what cannot be read is named and skipped.

    Args:
        task: in evaluation mode.
        preparation: of the scans it was trained on.
        scans: to be segmented.
        errors: of scans that are not whole.
        splits: of the scans in the run, see `predict_splits.splits_of`.
        output: directory of the results.
        precision: of the training.

    Raises:
        InputError: the task finds boxes alone, or no scan can be segmented.
    """
    if not task.has_label_maps:
        raise InputError("the model of predict.run finds boxes alone; expected one that gives label maps, such as model=unet")
    rows: list[tuple[object, ...]] = []
    table: list[tuple[object, ...]] = []
    skipped = [str(error) for error in errors]
    vast: list[str] = []
    done: list[tuple[str, list[Lesion], float]] = []
    for scan in track(scans, description="Finding lesions", console=console):
        try:
            volumes, found, brain = _segment(task, preparation, scan, precision)
        except InputError as error:
            skipped.append(str(error))
            continue
        write_volume(output / "labels" / f"{scan.scan_id}.nii.gz", found, scan.images[0])
        lesions = find_lesions(found, volumes[0].affine, preparation.target_values)
        if (found > 0).sum() > _MOST_OF_BRAIN * brain.sum():
            vast.append(scan.scan_id)
        truth = _truth(scan, volumes[0], preparation)
        dice = [] if truth is None else _dice(found, truth, preparation)
        _draw(output / "overlays" / f"{scan.scan_id}.png", scan, volumes[0], found, truth, lesions, dice)
        rows += [(scan.scan_id, *lesion.row(number)) for number, lesion in enumerate(lesions, start=1)]
        ml = sum(lesion.volume for lesion in lesions)
        # Empty where there is no mask, or a class is in neither.
        scores = [f"{value:.4f}" if value == value else "" for value in dice] or [""] * (1 + len(preparation.spec.classes))
        table.append((scan.scan_id, splits.get(scan.scan_id, ""), len(lesions), round(ml, 4), *scores))
        done.append((scan.scan_id, lesions, dice[0] if dice else float("nan")))
    if not done:
        raise InputError(skipped[0] + (f"; and {len(skipped) - 1} more such scans" if len(skipped) > 1 else ""))
    for text in skipped:
        tell(f"skipped: {text}")
    write_csv(output / "lesions.csv", ("scan", *COLUMNS), rows)
    names = [f"dice_{name}" for name in preparation.spec.classes]
    write_csv(output / "scans.csv", ("scan", "split", "lesions", "volume_ml", "dice", *names), table)
    every = [lesion for _, lesions, _ in done for lesion in lesions]
    told = {name: value for name, _, value in done if value == value}
    for name, value in told.items():
        tell(f"{name}{f' ({splits[name]})' if name in splits else ''}: Dice {value:.3f}")
    segmented = tuple(name for name, *_ in done)
    if vast:
        tell(
            f"warning: {name_some(vast)}: what is found is larger than half of the brain, so volumes in ml say nothing: train "
            "longer, or give the channels that it was trained on"
        )
    tell_seen({name: splits[name] for name in segmented if name in splits})
    ml = sum(lesion.volume for lesion in every)
    return ScansFound(output.resolve(), segmented, len(every), ml, _first_words(skipped), told, splits)


def _segment(
    task: BaseTask, preparation: Preparation, scan: Scan, precision: str
) -> tuple[list[Volume], Labels, NDArray[np.bool_]]:
    """The volumes of a scan, what is found, in the values of the files of masks, on its grid, and where the brain is."""
    volumes = [read_volume(path) for path in scan.images]
    for other in volumes[1:]:
        check_same_grid(volumes[0], other)
    image, sides = upright(volumes[0].array, volumes[0].affine), upright_sides(volumes[0].affine)
    if (size := size_finding(scan.scan_id, head_mask(image, sides), sides)) is not None:
        tell(size.line())
    brain = brain_mask(volumes)
    slices, grid = preparation.image(volumes, brain)
    if (lost := share_outside(brain, grid)) > MOST_LOST:
        rows, columns = (f"{n * mm:.0f}" for n, mm in zip(grid.size, grid.spacing, strict=True))
        tell(
            f"warning: {scan.scan_id}: slices of {rows} x {columns} mm, as in training, leave out {lost:.0%} of the brain, "
            "where nothing is found: check the voxel size in its header"
        )
    found = np.stack([find_classes(task, image, preparation.spec, precision) for image in slices])
    return volumes, _values(preparation)[grid.to_volume(found)], brain


def _values(preparation: Preparation) -> NDArray[np.int32]:
    """The value in files of masks of every value of a label map; the first, where several have one name."""
    first = {name: value for value, name in reversed(preparation.target_values.items())}
    return np.array([0, *(first[name] for name in preparation.spec.classes)], dtype=np.int32)


def _truth(scan: Scan, image: Volume, preparation: Preparation) -> Labels | None:
    """The mask beside a scan, in the values of `_values`, where there is one that fits."""
    if scan.labels is None:
        return None
    try:
        labels = read_labels(scan.labels)
        check_same_grid(image, labels)
    except InputError as error:
        tell(f"note: no Dice of {scan.scan_id}: {error}")
        return None
    values = dict(zip(preparation.spec.classes, _values(preparation)[1:].tolist(), strict=True))
    truth = np.zeros(labels.array.shape, dtype=np.int32)
    for value, name in preparation.target_values.items():
        truth[labels.array == value] = values[name]
    return truth


def _dice(found: Labels, truth: Labels, preparation: Preparation) -> list[float]:
    """Dice of all classes together, then of each; NaN of what neither has."""
    values = _values(preparation)[1:].tolist()
    together = class_dice(count_pixels((found > 0).astype(np.int64), (truth > 0).astype(np.int64), 1))[1]
    each = [class_dice(count_pixels((found == v).astype(np.int64), (truth == v).astype(np.int64), 1))[1] for v in values]
    return [float(value) for value in (together, *each)]


def _draw(
    path: Path, scan: Scan, image: Volume, found: Labels, truth: Labels | None, lesions: Sequence[Lesion], dice: Sequence[float]
) -> None:
    ml = sum(lesion.volume for lesion in lesions)
    score = "" if truth is None else f"; blue: the mask beside it, Dice {dice[0]:.2f}"
    title = f"{scan.scan_id}: {counted(len(lesions), 'lesion')}, {ml:.1f} ml (orange){score}"
    masks = [(found, VERMILION), *([(truth, BLUE)] if truth is not None else [])]
    outlines = [(upright(mask, image.affine), color) for mask, color in masks]
    planes = ThreePlanes(title, upright(image.array, image.affine), upright_sides(image.affine), outlines)
    save_planes(path, [planes])


def _first_words(errors: Sequence[str]) -> tuple[str, ...]:
    """The file that each error begins with."""
    return tuple(Path(error.split(": ")[0]).name for error in errors)
