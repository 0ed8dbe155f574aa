"""What `stage=check` says of whole scans: the doctor's findings, a table by split, and pictures in three planes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from rich.table import Table

from rbc_lightning.commands.words import counted
from rbc_lightning.core.progress import count_progress, tell
from rbc_lightning.core.store import Store
from rbc_lightning.data.manifest import Manifest
from rbc_lightning.data.sample import SPLITS, Sample
from rbc_lightning.data.stream import tell_of_empty
from rbc_lightning.errors import InputError

if TYPE_CHECKING:
    from rbc_lightning.data.volumes.doctor.examine import Examined
    from rbc_lightning.data.volumes.preparation import Preparation

_ROWS, _PAGES = 6, 10


@dataclass(frozen=True)
class Examination:
    """All scans that lie in files, as the doctor saw them, how they are prepared, and the number of warnings."""

    scans: tuple[Examined, ...] = ()
    preparation: Preparation | None = None
    warnings: int = 0


def has_scans(manifest: Manifest) -> bool:
    """Whether samples are slices of scans."""
    return any(sample.volume is not None for sample in manifest.samples)


def examine_scans(reader: Any, store: Store) -> Examination:  # noqa: ANN401 (of any kind)
    """Examine the files of a reader's scans, and tell every finding in a line; nothing for a reader of other data.

    Args:
        reader: of any data.
        store: where a phantom lies, which is drawn first if it is not there.
    """
    # Bring nibabel along.
    from rbc_lightning.data.readers.brain_phantom import BrainPhantomReader
    from rbc_lightning.data.readers.nifti import NiftiReader

    if isinstance(reader, BrainPhantomReader):
        reader = reader.at(store.make(reader.phantom))
    if not isinstance(reader, NiftiReader):
        return Examination()
    from rbc_lightning.data.volumes.doctor.examine import compare, examine
    from rbc_lightning.data.volumes.doctor.finding import merged

    scans, preparation = reader.scans(), reader.preparation
    examined: list[Examined] = []
    with count_progress("Examining the scans", len(scans)) as advance, ThreadPoolExecutor() as pool:
        for one in pool.map(lambda scan: examine(scan, preparation), scans):
            examined.append(one)
            advance(len(examined), len(scans))
    of_each = [finding for one in examined for finding in one.findings]
    findings = merged(of_each + compare(examined, preparation))
    for finding in findings:
        tell(finding.line())
    return Examination(tuple(examined), preparation, sum(finding.grave for finding in findings))


def scan_table(name: str, manifest: Manifest, examined: Sequence[Examined]) -> Table:
    """Scans, patients, slices and lesions by split; lesions are counted in the files themselves where there are any."""
    table = Table(title=f"{name}: scans by split (mean +- standard deviation between scans)", title_justify="left")
    classes = manifest.spec.classes
    with_any, patches = (f"with {classes[0]}", f"{classes[0]}s") if len(classes) == 1 else ("labelled", "patches")
    for title in ("split", "scans", "patients", "slices", with_any, patches, "ml"):
        table.add_column(title, justify="left" if title == "split" else "right")
    seen = {one.scan.scan_id: one for one in examined}
    for split in (split for split in SPLITS if any(sample.split == split for sample in manifest.samples)):
        samples = manifest.split(split)
        by_scan = _by_scan(samples)
        counted = [_lesions(of_scan, seen.get(scan)) for scan, of_scan in by_scan.items()]
        table.add_row(
            split,
            str(len(by_scan)),
            str(len({sample.group for sample in samples})),
            str(len(samples)),
            str(sum(_has_targets(sample) for sample in samples)),
            _spread([number for number, _ in counted], 0),
            _spread([ml for _, ml in counted if ml is not None], 1),
        )
    return table


def tell_empty_slices(manifest: Manifest) -> None:
    """Note how many training slices show nothing of what is segmented, and warn where training would be refused for it."""
    try:
        line = tell_of_empty(manifest.split("train"))
    except InputError as error:
        line = f"warning: {error}"
    if line:
        tell(line)


def telling_slices(manifest: Manifest) -> list[Sample]:
    """Of every scan, train first, the slice with most pixels of what is segmented."""
    scans = _by_scan([sample for split in SPLITS for sample in manifest.samples if sample.split == split])
    return [max(samples, key=lambda sample: int((sample.load_label_map() > 0).sum())) for samples in scans.values()]


def save_scans(path: Path, manifest: Manifest, examined: Sequence[Examined], preparation: Preparation) -> tuple[Path, ...]:
    """Draw every scan in three planes through its largest lesion: six on a page, `NAME.png`, `NAME_2.png`, ...; all pages."""
    from rbc_lightning.data.volumes.nifti import read_labels, read_volume
    from rbc_lightning.data.volumes.upright import upright, upright_sides
    from rbc_lightning.report.figures.planes import VERMILION, ThreePlanes, save_planes

    splits = {sample.volume: sample.split for sample in manifest.samples}
    shown = sorted(examined, key=lambda one: SPLITS.index(splits.get(one.scan.scan_id, one.scan.split)))[: _ROWS * _PAGES]
    pages: list[Path] = []
    for start in range(0, len(shown), _ROWS):
        rows = []
        for one in shown[start : start + _ROWS]:
            image = read_volume(one.scan.images[0])
            labels = None if one.scan.labels is None else read_labels(one.scan.labels)
            split = splits.get(one.scan.scan_id, one.scan.split)
            found = f"{counted(len(one.lesions), 'lesion')}, {one.ml:.1f} ml"
            title = f"{one.scan.scan_id}, {split}, {preparation.channels[0]}: {found}"
            outlines = (
                []
                if labels is None
                else [(upright(np.isin(labels.array, list(preparation.target_values)), labels.affine), VERMILION)]
            )
            rows.append(ThreePlanes(title, upright(image.array, image.affine), upright_sides(image.affine), outlines))
        pages.append(path.with_stem(f"{path.stem}_{len(pages) + 1}") if pages else path)
        save_planes(pages[-1], rows)
    if len(shown) < len(examined):
        tell(f"note: the first {len(shown)} of {len(examined)} scans are drawn")
    return tuple(pages)


def _by_scan(samples: Sequence[Sample]) -> Mapping[str, list[Sample]]:
    scans: dict[str, list[Sample]] = {}
    for sample in samples:
        scans.setdefault(str(sample.volume), []).append(sample)
    return scans


def _has_targets(sample: Sample) -> bool:
    return bool((sample.load_label_map() > 0).any())


def _lesions(samples: Sequence[Sample], examined: Examined | None) -> tuple[int, float | None]:
    """Number of lesions and ml; without files, patches of the label maps, 26-connected, and no volume."""
    if examined is not None:
        return len(examined.lesions), examined.ml
    from scipy.ndimage import label

    from rbc_lightning.data.volumes.lesions import CONNECTED

    stack = np.stack([sample.load_label_map() for sample in sorted(samples, key=lambda sample: sample.slice or 0)])
    return sum(label(stack == value, CONNECTED)[1] for value in range(1, int(stack.max()) + 1)), None


def _spread(values: Sequence[float], digits: int) -> str:
    return f"{np.mean(values):.{digits}f} +- {np.std(values):.{digits}f}" if values else "-"
