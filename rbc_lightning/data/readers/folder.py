"""A data set on disk: `images/<id>.*` beside `labels/<id>.*` and `splits.csv`."""

import csv
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import ClassVar, cast

from scipy.ndimage import label as components

from rbc_lightning.core.files import check_name, content_hash, read_table_text
from rbc_lightning.core.store import Store
from rbc_lightning.data.checked import CheckedPairs
from rbc_lightning.data.formats import IMAGE_SUFFIXES
from rbc_lightning.data.manifest import Manifest
from rbc_lightning.data.readers.base import Reader
from rbc_lightning.data.sample import SPLITS, FilePair, Sample, Split
from rbc_lightning.data.spec import RGB, ImageSpec
from rbc_lightning.errors import InputError

CHECKED = ".checked_{}.json"
"""Where in the store it is remembered which files passed all checks."""

_IMAGES, _LABELS = "images", "labels"
_LABEL_SUFFIXES = (".png", ".tif", ".tiff")
# A true single cell may be torn by overlap, but not into this many.
_MOST_PIECES = 3


@dataclass(frozen=True, kw_only=True)
class FolderReader(Reader):
    """Reads images and label maps from the folder `root`, see `read_folder`."""

    expected: ClassVar[str] = "images/, labels/ and splits.csv"

    root: Path
    value_range: tuple[int, int] = (0, 255)  # of the images; 16-bit ones where the largest is above 255
    second_masks: str | None = None  # directory beside labels/ with the label maps of a second annotator, of some images or all

    def __post_init__(self) -> None:
        super().__post_init__()
        # A folder called 2024, or nan, is a number on a command line.
        object.__setattr__(self, "root", Path(str(self.root)))
        values: object = self.value_range
        if not isinstance(values, list | tuple) or [type(value) for value in values] != [int, int]:
            raise InputError(f"data.value_range={values}; expected [smallest,largest], such as [0,4095] for 12 bits")
        object.__setattr__(self, "value_range", tuple(values))
        ImageSpec(value_range=self.value_range)
        if self.second_masks is not None:
            second = check_name("data.second_masks", self.second_masks)
            if second in (_IMAGES, _LABELS):
                raise InputError(f"data.second_masks={second}; expected another directory beside {_LABELS}/, or null for none")
            object.__setattr__(self, "second_masks", second)

    def read(self, store: Store) -> Manifest:
        """The listed samples, every file decoded unless it passed before."""
        return read_folder(self.root, ImageSpec(value_range=self.value_range), store, self.second_masks)

    def groups(self) -> dict[str, Split]:
        """The split of each group that `splits.csv` names."""
        return {group: split for split, group in _read_splits(self.root / "splits.csv").values()}

    def notes(self, manifest: Manifest) -> list[str]:
        """Images, and label maps of a second annotator, that `splits.csv` does not list; how many images have the latter."""
        listed = {sample.sample_id for sample in manifest.samples}
        places = {_IMAGES: IMAGE_SUFFIXES} | ({self.second_masks: _LABEL_SUFFIXES} if self.second_masks else {})
        notes = [
            f"note: {place}/{path.name} is not in splits.csv and takes no part"
            for place, suffixes in places.items()
            for name, path in _index(self.root / place, suffixes).items()
            if name not in listed
        ]
        if self.second_masks:
            twice = [sample.split for sample in manifest.samples if sample.second]
            notes.append(
                f"note: {len(twice)} of {len(listed)} images are annotated twice ({self.second_masks}/), {twice.count('test')} "
                "of them in test: agreement.csv of each run compares those"
            )
        return notes

    def overrides(self) -> list[str]:
        """The folder by its root, whatever file of the group named it."""
        low, high = self.value_range
        deep = [] if self.value_range == RGB.value_range else [f"data.value_range=[{low},{high}]"]
        twice = [f"data.second_masks={self.second_masks}"] if self.second_masks else []
        return ["data=folder", f"data.name={self.name}", f"data.root={self.root}", *deep, *twice]


def read_folder(root: Path, spec: ImageSpec = RGB, store: Store | None = None, second_masks: str | None = None) -> Manifest:
    """Read and check a folder of colour or grey images; each is decoded once, so that no bad one turns up in mid-training.

    What passed is remembered until a file changes (`data.checked`) in the store, if one is given, as soon as that holds
    anything: reading alone, for a plan or a configuration that is refused, leaves nothing behind.
    `splits.csv` has the columns sample_id, split (train, val, test, external) and, where known, group (patient or slide). What
    does not fit is refused by an `InputError` that names the file and the remedy. `second_masks` names a directory beside
    `labels` that holds, under the same names, the label maps of a second annotator, of some images or of all.
    """
    splits = _read_splits(root / "splits.csv")
    images = _index(root / _IMAGES, IMAGE_SUFFIXES)
    labels = _index(root / _LABELS, _LABEL_SUFFIXES)
    seconds = _index(root / second_masks, _LABEL_SUFFIXES) if second_masks else {}
    if second_masks and not set(seconds) & set(splits):
        raise InputError(
            f"{root / second_masks}: no label map of an image in splits.csv; expected {next(iter(splits))}.png or others, "
            f"named as in {_LABELS}/: rename them, or set data.second_masks=null"
        )
    for sample_id in splits:
        if sample_id not in images:
            raise InputError(
                f"{root / 'images' / sample_id}.*: no such image, yet splits.csv lists it; expected one of "
                f"{', '.join(IMAGE_SUFFIXES)} (sample_id is the name without it): add the image or drop the row"
            )
        if sample_id not in labels:
            raise InputError(
                f"{images[sample_id]}: image without a label map; expected {root / 'labels' / sample_id}.png: add it or drop "
                "the row from splits.csv"
            )
    if not any(split == "train" for split, _ in splits.values()):
        raise InputError(f"{root / 'splits.csv'}: split 'train' is empty; expected at least one sample in it")
    # Beside the directories of kinds, not in one: nothing here is made by a recipe.
    checked = CheckedPairs(
        store.root / CHECKED.format(content_hash([str(root.resolve()), list(spec.value_range)])) if store else None
    )
    with ThreadPoolExecutor() as pool:
        pairs = {name: FilePair(images[name], labels[name], spec) for name in splits}
        twins = {name: FilePair(images[name], seconds[name], spec) if name in seconds else None for name in splits}
        samples = tuple(pool.map(lambda name: _sample(name, *splits[name], pairs[name], twins[name], checked), splits))
    if store:
        store.when_begun(checked.save)
    return Manifest(samples)


def _read_splits(path: Path) -> dict[str, tuple[Split, str]]:
    if not path.parent.is_dir():
        raise InputError(f"{path.parent}: no such directory; point data.root at a folder with images/, labels/ and splits.csv")
    if not path.is_file():
        raise InputError(f"{path}: no such file; expected a CSV with the columns sample_id,split and optionally group")
    rows: dict[str, tuple[Split, str]] = {}
    reader = csv.DictReader(StringIO(read_table_text(path)))
    if not {"sample_id", "split"} <= set(reader.fieldnames or ()):
        raise InputError(f"{path}: columns {reader.fieldnames}; expected sample_id,split and optionally group")
    for line, row in enumerate(reader, start=2):
        sample_id, split = (row["sample_id"] or "").strip(), (row["split"] or "").strip()
        if split not in SPLITS:
            raise InputError(f"{path}, line {line}: split {split!r}; expected one of {', '.join(SPLITS)}")
        if sample_id in rows:
            raise InputError(
                f"{path}, line {line}: sample {sample_id!r} ({split}) is listed before as {rows[sample_id][0]}; an image "
                "belongs to one split: drop one of the rows"
            )
        # Without a known patient or slide every image is a group of its own.
        rows[sample_id] = (cast(Split, split), (row.get("group") or "").strip() or sample_id)
    if not rows:
        raise InputError(f"{path}: no rows; expected at least one sample in train")
    return rows


def _index(directory: Path, suffixes: tuple[str, ...]) -> dict[str, Path]:
    if not directory.is_dir():
        raise InputError(f"{directory}: no such directory; expected files named <sample_id>{suffixes[0]} in it")
    found: dict[str, Path] = {}
    for path in sorted(directory.iterdir()):
        if path.suffix.lower() in suffixes and not path.name.startswith("."):
            if path.stem in found:
                raise InputError(f"{path}: a second file for sample {path.stem!r} beside {found[path.stem].name}; keep one")
            found[path.stem] = path
    return found


def _sample(
    sample_id: str, split: Split, group: str, files: FilePair, second: FilePair | None, checked: CheckedPairs
) -> Sample:
    paths, beside = (files.image_path, files.label_path), [second.label_path] if second else []
    image, label = checked.hashes(paths, lambda: _check(files, second), beside)
    twin = _resolved(second) if second else None
    return Sample(sample_id, split, group, image, label, _resolved(files), spec=files.spec, second=twin)


def _resolved(files: FilePair) -> FilePair:
    return FilePair(files.image_path.resolve(), files.label_path.resolve(), files.spec)


def _check(files: FilePair, second: FilePair | None) -> None:
    """Decode image and label maps; an `InputError` names what is wrong."""
    image = files.image()
    for annotated in filter(None, (files, second)):
        _check_label_map(annotated, image.shape[:2])
    top = int(image.max(initial=0))
    if top > files.spec.value_range[1]:
        raise InputError(
            f"{files.image_path}: values up to {top}; expected none above {files.spec.value_range[1]}, the largest of "
            "data.value_range: raise that, lest they be cut off"
        )


def _check_label_map(files: FilePair, size: tuple[int, ...]) -> None:
    label_map = files.label_map()
    if label_map.shape != size:
        raise InputError(
            f"{files.label_path}: label map of {label_map.shape[0]} x {label_map.shape[1]} pixels for an image of "
            f"{size[0]} x {size[1]} ({files.image_path.name}); expected equal sizes (height x width): export it again"
        )
    if label_map.max(initial=0) == 1 and components(label_map)[1] > _MOST_PIECES:
        raise InputError(
            f"{files.label_path}: one cell in more than {_MOST_PIECES} pieces, a mask of foreground rather than of cells; "
            "expected an id for each cell: number them, for instance with scipy.ndimage.label"
        )
