"""A data set on disk: `images/<id>.*` beside `labels/<id>.*` and `splits.csv`."""

import csv
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from scipy.ndimage import label as components

from rbc_lightning.core.files import content_hash
from rbc_lightning.core.store import Store
from rbc_lightning.data.checked import CheckedPairs
from rbc_lightning.data.formats import IMAGE_SUFFIXES
from rbc_lightning.data.manifest import Manifest
from rbc_lightning.data.readers.base import Reader
from rbc_lightning.data.sample import RGB, SPLITS, FilePair, ImageSpec, Sample, Split
from rbc_lightning.errors import InputError

CHECKED = ".checked_{}.json"
"""Where in the store it is remembered which files passed all checks."""

_LABEL_SUFFIXES = (".png", ".tif", ".tiff")
# A true single cell may be torn by overlap, but not into this many.
_MOST_PIECES = 3


@dataclass(frozen=True, kw_only=True)
class FolderReader(Reader):
    """Reads images and label maps from the folder `root`, see `read_folder`."""

    root: Path
    value_range: tuple[int, int] = (0, 255)  # of the images; 16-bit ones where the largest is above 255

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "root", Path(self.root))
        values: object = self.value_range
        if not isinstance(values, list | tuple) or [type(value) for value in values] != [int, int]:
            raise InputError(f"data.value_range={values}; expected [smallest,largest], such as [0,4095] for 12 bits")
        object.__setattr__(self, "value_range", tuple(values))
        ImageSpec(value_range=self.value_range)

    def read(self, store: Store) -> Manifest:
        """The listed samples, every file decoded unless it passed before."""
        return read_folder(self.root, ImageSpec(value_range=self.value_range), store)

    def notes(self, manifest: Manifest) -> list[str]:
        """Images that `splits.csv` does not list."""
        listed = {sample.sample_id for sample in manifest.samples}
        unlisted = [path.name for name, path in _index(self.root / "images", IMAGE_SUFFIXES).items() if name not in listed]
        return [f"note: images/{name} is not in splits.csv and takes no part" for name in unlisted]

    def overrides(self) -> list[str]:
        """The folder by its root, whatever file of the group named it."""
        low, high = self.value_range
        deep = [] if self.value_range == RGB.value_range else [f"data.value_range=[{low},{high}]"]
        return ["data=folder", f"data.name={self.name}", f"data.root={self.root}", *deep]


def read_folder(root: Path, spec: ImageSpec = RGB, store: Store | None = None) -> Manifest:
    """Read and check a folder of colour or grey images; each is decoded once, so that no bad one turns up in mid-training.

    What passed is remembered until a file changes (`data.checked`) in the store, if one is given and holds anything yet:
    reading alone, for a plan or a configuration that is refused, leaves nothing behind.
    `splits.csv` has the columns sample_id, split (train, val or test) and, where known, group (patient or slide). What does
    not fit is refused by an `InputError` that names the file and the remedy.
    """
    splits = _read_splits(root / "splits.csv")
    images = _index(root / "images", IMAGE_SUFFIXES)
    labels = _index(root / "labels", _LABEL_SUFFIXES)
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
    for name in ("train", "test"):
        if not any(split == name for split, _ in splits.values()):
            raise InputError(
                f"{root / 'splits.csv'}: split {name!r} is empty; expected at least one sample in train and in test"
            )
    begun = store is not None and store.root.is_dir()
    # Beside the directories of kinds, not in one: nothing here is made by a recipe.
    checked = CheckedPairs(
        store.root / CHECKED.format(content_hash([str(root.resolve()), list(spec.value_range)])) if store and begun else None
    )
    with ThreadPoolExecutor() as pool:
        pairs = {name: FilePair(images[name], labels[name], spec) for name in splits}
        samples = tuple(pool.map(lambda name: _sample(name, *splits[name], pairs[name], checked), splits))
    checked.save()
    return Manifest(samples)


def _read_splits(path: Path) -> dict[str, tuple[Split, str]]:
    if not path.parent.is_dir():
        raise InputError(f"{path.parent}: no such directory; point data.root at a folder with images/, labels/ and splits.csv")
    if not path.is_file():
        raise InputError(f"{path}: no such file; expected a CSV with the columns sample_id,split and optionally group")
    rows: dict[str, tuple[Split, str]] = {}
    with path.open(newline="", encoding="utf-8-sig") as handle:
        reader = csv.DictReader(handle)
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
        raise InputError(f"{path}: no rows; expected at least one sample in train and one in test")
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


def _sample(sample_id: str, split: Split, group: str, files: FilePair, checked: CheckedPairs) -> Sample:
    hashes = checked.hashes(files, lambda: _check(files))
    resolved = FilePair(files.image_path.resolve(), files.label_path.resolve(), files.spec)
    return Sample(sample_id, split, group, *hashes, resolved, spec=files.spec)


def _check(files: FilePair) -> None:
    """Decode both files; an `InputError` names what is wrong."""
    image, label_map = files.image(), files.label_map()
    if image.shape[:2] != label_map.shape:
        raise InputError(
            f"{files.label_path}: label map of {label_map.shape[0]} x {label_map.shape[1]} pixels for an image of "
            f"{image.shape[0]} x {image.shape[1]} ({files.image_path.name}); expected equal sizes (height x width): export it "
            "again"
        )
    top = int(image.max(initial=0))
    if top > files.spec.value_range[1]:
        raise InputError(
            f"{files.image_path}: values up to {top}; expected none above {files.spec.value_range[1]}, the largest of "
            "data.value_range: raise that, lest they be cut off"
        )
    if label_map.max(initial=0) == 1 and components(label_map)[1] > _MOST_PIECES:
        raise InputError(
            f"{files.label_path}: one cell in more than {_MOST_PIECES} pieces, a mask of foreground rather than of cells; "
            "expected an id for each cell: number them, for instance with scipy.ndimage.label"
        )
