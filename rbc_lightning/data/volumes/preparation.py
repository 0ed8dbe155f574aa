"""From volumes to what is stored of a scan: slices of all channels, and label maps of targets and of what lies around."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from rbc_lightning.core.trainer import check_count
from rbc_lightning.data.spec import ImageSpec
from rbc_lightning.data.volumes.grid import SliceGrid
from rbc_lightning.data.volumes.head import HEAD, TISSUE, find_bright, find_grey, find_head
from rbc_lightning.data.volumes.intensity import LARGEST, STANDARD, brain_mask, standardise
from rbc_lightning.data.volumes.nifti import Volume
from rbc_lightning.errors import InputError

MOST_LOST = 0.005
"""Share of the brain, or of the classes, that slices may leave out."""
# Patches of one slice.
_IN_PLANE = np.array([[[0] * 3] * 3, [[1] * 3] * 3, [[0] * 3] * 3], dtype=np.bool_)


@dataclass(frozen=True)
class Preparation:
    """How scans become samples.

    Args:
        channels: names, in order.
        classes: name of every value that masks hold; None for a value that counts as background.
        targets: names that are segmented, in the order of their values in label maps; None for all.
        outline: name of one more class, the rough brain, behind all others; None for none.
        head: whether two more classes follow, of the rest of the head, see `head.find_head`; dark parts of the outline are
            in the second of them; and, where there is an outline, two of its tissue, see `head.find_grey`, `head.find_bright`.
        side: rows and columns of a slice; None for those of the scan.
        spacing: mm between pixels; None for that of the scan.
        strip: whether all but the brain is emptied.

    Raises:
        InputError: names that are repeated or unknown, values or sizes that cannot be.
    """

    channels: tuple[str, ...]
    classes: Mapping[int, str | None]
    targets: tuple[str, ...] | None
    outline: str | None
    side: int | None
    spacing: float | None
    strip: bool = False
    head: bool = False

    def __post_init__(self) -> None:
        if not self.channels or len(set(self.channels)) < len(self.channels):
            raise InputError(f"data.channels={list(self.channels)}; expected one or more names, all different")
        named = self.masked
        if not named:
            raise InputError("data.classes names no class to segment; expected such as {1: lesion}")
        if self.targets == ():
            raise InputError(f"data.targets=[]; expected some of {', '.join(named)}, or null for all")
        for name in self.targets or ():
            if name not in named:
                raise InputError(f"data.targets: {name!r}; expected some of {', '.join(named)}, as data.classes names them")
        if self.side is not None:
            check_count("data.side", self.side, 1)
        if self.spacing is not None and (not isinstance(self.spacing, int | float) or not 0 < self.spacing < float("inf")):
            raise InputError(f"data.spacing={self.spacing}; expected mm above 0, or null for those of the scan")
        if not isinstance(self.strip, bool):
            raise InputError(f"data.strip={self.strip}; expected true or false")
        _ = self.spec

    @property
    def masked(self) -> tuple[str, ...]:
        """Classes that masks name."""
        return tuple(dict.fromkeys(name for value, name in self.classes.items() if value != 0 and name))

    @property
    def names(self) -> tuple[str, ...]:
        """Classes of label maps, values 1, 2, ...: targets, the others, the outline, the head's."""
        named = self.masked
        targets = named if self.targets is None else self.targets
        context = (*(name for name in named if name not in targets), *self._computed)
        return (*targets, *context)

    @property
    def spec(self) -> ImageSpec:
        """Of the samples, but for the spacing, which is the grid's."""
        names = self.names
        n_targets = len(self.targets) if self.targets is not None else len(names) - len(self._computed)
        return ImageSpec(
            channels=self.channels,
            value_range=(0, LARGEST),
            labels="classes",
            classes=names[:n_targets],
            objects="bright",
            context=names[n_targets:],
            upright=True,
            standard=STANDARD,
        )

    @property
    def target_values(self) -> dict[int, str]:
        """Names of the values in masks that are segmented."""
        return {value: name for value, name in self.classes.items() if value != 0 and name in self.spec.classes}

    def decisive(self) -> dict[str, Any]:
        """What enters keys."""
        return {
            "channels": self.channels,
            "classes": sorted((value, name) for value, name in self.classes.items()),
            "names": self.names,
            "outline": self.outline,
            "side": self.side,
            "spacing": self.spacing,
            "strip": self.strip,
            **({"head": True} if self.head else {}),
        }

    def grid(self, volume: Volume) -> SliceGrid:
        """The slices of a volume."""
        return SliceGrid.of(volume.array.shape, volume.affine, self.side, self.spacing)

    def image(self, volumes: Sequence[Volume], brain: NDArray[np.bool_]) -> tuple[NDArray[np.uint16], SliceGrid]:
        """The slices of all channels, (Z, H, W, C), and their grid.

        Args:
            volumes: in the order of `channels`, on one grid.
            brain: (x, y, z), see `intensity.brain_mask`.
        """
        grid, slices = self.grid(volumes[0]), []
        for volume in volumes:
            stored = standardise(volume.array, brain)
            if self.strip:
                stored = np.where(brain, stored, np.uint16(0))
            # What lies outside of the volume is like its rim, air as a rule.
            rim = float(np.median(np.concatenate([stored[[0, -1]].ravel(), stored[:, [0, -1]].ravel()])))
            slices.append(np.rint(grid.to_slices(stored - np.float32(rim), 1) + rim))
        return np.stack(slices, axis=-1).clip(0, LARGEST).astype(np.uint16), grid

    def labels(self, volume: Volume, grid: SliceGrid, brain: NDArray[np.bool_]) -> NDArray[np.uint8]:
        """The label maps (Z, H, W): 1, 2, ... for `names`.

        Classes are resampled one by one and the largest share wins; a patch of which nothing would be left keeps a pixel.

        Args:
            volume: of labels, as stored.
            grid: of the scan's images.
            brain: (x, y, z).

        Raises:
            InputError: names file and value where `classes` has no such value.
        """
        table = self._table(volume)
        native = grid_values(volume, table)
        if self.outline:
            native = np.where((native == 0) & brain, np.uint8(1 + self.names.index(self.outline)), native)
        if not grid.resamples:
            return np.asarray(grid.to_slices(native, 0))
        return _resampled(native, grid, len(self.names))

    def with_head(self, label_maps: NDArray[np.uint8], image: NDArray[np.uint16], grid: SliceGrid) -> NDArray[np.uint8]:
        """The label maps (Z, H, W) with the classes of the head, if there are any, where no mask says otherwise.

        Args:
            label_maps: from `labels`.
            image: from `image`.
            grid: of both.
        """
        if not self.head:
            return label_maps
        values = {name: np.uint8(value) for value, name in enumerate(self.names, start=1)}
        head, dark = find_head(image, grid.spacing)
        open_to_it = (label_maps == 0) | (label_maps > len(self.names) - len(self._computed))
        found = np.where((label_maps == 0) & head, values[HEAD[0]], label_maps)
        found = np.where(open_to_it & dark, values[HEAD[1]], found)
        if not self.outline:
            return found
        brain = found == values[self.outline]
        for name, find in zip(TISSUE, (find_grey, find_bright), strict=True):
            found = np.where(find(image, brain, grid.spacing), values[name], found)
        return found

    def check(self, volumes: Sequence[Volume], labels: Volume) -> None:
        """Refuse labels that no class has, and slices that cut off a part of the brain or of what is to be segmented."""
        table, grid = self._table(labels), self.grid(volumes[0])
        if grid.is_whole:
            return
        targets = np.asarray(grid_values(labels, table) > 0)
        for what, inside in (("brain", brain_mask(volumes)), ("classes", targets)):
            lost = share_outside(inside, grid)
            if lost > MOST_LOST:
                rows, columns = (f"{n * mm:.0f}" for n, mm in zip(grid.size, grid.spacing, strict=True))
                raise InputError(
                    f"{volumes[0].path}: slices of {rows} x {columns} mm leave out {lost:.0%} of the {what}; expected the "
                    "whole head in them: raise data.side (pixels) or data.spacing (mm)"
                )

    @property
    def _computed(self) -> tuple[str, ...]:
        """Classes of no mask."""
        outline = (self.outline,) if self.outline else ()
        return (*outline, *HEAD, *(TISSUE if outline else ())) if self.head else outline

    def _table(self, volume: Volume) -> dict[int, int]:
        """The value in label maps of every value of a file."""
        names, found = self.names, {}
        for value in np.unique(volume.array).tolist():
            if value != 0 and value not in self.classes:
                known = ", ".join(f"{known} ({name or 'background'})" for known, name in self.classes.items())
                table = ", ".join(f"{known}: {name or 'null'}" for known, name in self.classes.items())
                raise InputError(
                    f"{volume.path}: {int((volume.array == value).sum())} voxels of value {value}; expected 0, {known}: mend "
                    f"it, or set 'data.classes={{{table}, {value}: NAME}}', with null for NAME where it counts as background"
                )
            name = self.classes.get(value) if value != 0 else None
            found[value] = 1 + names.index(name) if name else 0
        return found


def share_outside(inside: NDArray[np.bool_], grid: SliceGrid) -> float:
    """The share of a mask (x, y, z) that the slices of a grid leave out; 0 of an empty one."""
    if grid.is_whole:
        return 0.0
    seen = grid.to_volume(np.ones((grid.depth, *grid.size), dtype=np.uint8)) > 0
    return float((inside & ~seen).sum() / max(1, inside.sum()))


def grid_values(volume: Volume, table: Mapping[int, int]) -> NDArray[np.uint8]:
    """The values of a volume as a table from those stored says, uint8 (x, y, z)."""
    values = np.array(sorted(table))
    new = np.array([table[value] for value in values.tolist()], dtype=np.uint8)
    return np.asarray(new[np.searchsorted(values, volume.array)])


def _resampled(native: NDArray[np.uint8], grid: SliceGrid, n_classes: int) -> NDArray[np.uint8]:
    best = np.zeros((grid.depth, *grid.size), dtype=np.uint8)
    shares = [grid.to_slices(native == value, 1) for value in range(1, n_classes + 1)]
    most = 1 - np.sum(shares, axis=0)
    for value, share in enumerate(shares, start=1):
        best[share > most] = value
        most = np.maximum(most, share)
    # Targets last: where two patches are down to one pixel, it is theirs.
    for value in range(n_classes, 0, -1):
        _keep_small(best, shares[value - 1], value)
    return best


def _keep_small(best: NDArray[np.uint8], share: NDArray[np.float32], value: int) -> None:
    """Give every patch of a class its largest share's pixel where it has none."""
    patches, count = ndimage.label(share > 1e-3, structure=_IN_PLANE)
    if count:
        index = np.arange(1, count + 1)
        kept = ndimage.maximum(best == value, patches, index)
        lost = index[np.asarray(kept) == 0]
        for place in ndimage.maximum_position(share, patches, lost) if len(lost) else ():
            best[place] = value
