"""The phantom as a data set: drawn once, kept in the store, read as a folder."""

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from rbc_lightning.core.files import write_text
from rbc_lightning.core.label_files import write_label_map
from rbc_lightning.core.progress import count_progress
from rbc_lightning.core.recipe import Recipe
from rbc_lightning.core.store import Store
from rbc_lightning.core.trainer import check_count
from rbc_lightning.data.formats import write_image
from rbc_lightning.data.manifest import Manifest
from rbc_lightning.data.readers.base import Reader
from rbc_lightning.data.readers.folder import read_folder
from rbc_lightning.data.readers.phantom.smear import render_smear
from rbc_lightning.data.readers.phantom.spec import PhantomSpec
from rbc_lightning.data.sample import Split
from rbc_lightning.errors import InputError

# The settings that decide what is drawn, with the smallest value of each.
_LEAST = {"n_train": 2, "n_test": 1, "height": 64, "width": 64, "phantom_seed": 0}


@dataclass(frozen=True, kw_only=True)
class PhantomReader(Reader, Recipe[Manifest]):
    """Procedural smears made on the spot; the folder that holds them is a recipe in the store."""

    kind: ClassVar[str] = "phantom"
    title: ClassVar[str] = "phantom"

    n_train: int  # images
    n_test: int
    height: int  # of an image, pixels
    width: int
    phantom_seed: int  # of all draws

    def __post_init__(self) -> None:
        super().__post_init__()
        for name, least in _LEAST.items():
            check_count(f"data.{name}", getattr(self, name), least)

    def settings(self) -> dict[str, Any]:
        """Those of the pictures; see `Recipe`."""
        return {name: getattr(self, name) for name in _LEAST}

    def read(self, store: Store) -> Manifest:
        """The samples, drawn first if they are not in the store."""
        return store.make(self)

    def groups(self) -> dict[str, Split]:
        """The split of each image, of which none is drawn."""
        counts: dict[Split, int] = {"train": self.n_train, "test": self.n_test}
        return {f"{split} {number}": split for split, count in counts.items() for number in range(count)}

    def build(self, directory: Path, store: Store) -> None:  # noqa: ARG002 (it has no input)
        """Draw every image, anew where a killed attempt left something behind."""
        shutil.rmtree(directory / "data", ignore_errors=True)
        spec = PhantomSpec(height=self.height, width=self.width)
        with count_progress("Drawing the phantom", self.n_train + self.n_test) as advance:
            write_phantom(directory / "data", spec, self.n_train, self.n_test, self.phantom_seed, advance)

    def load(self, directory: Path, store: Store) -> Manifest:
        """The samples."""
        return read_folder(directory / "data", store=store)


def write_phantom(
    root: Path, spec: PhantomSpec, n_train: int, n_test: int, seed: int, progress: Callable[[int, int], None] | None = None
) -> None:
    """Write `images/<id>.png`, `labels/<id>.png` (16-bit label maps) and, last, `splits.csv`; every image is its own slide.

    More images of one split leave the pictures of the other as they are; `progress` is called with (images written, images in
    all) after each. An `InputError` refuses a `root` with something in it.
    """
    if root.exists() and (not root.is_dir() or any(root.iterdir())):
        raise InputError(f"{root}: exists and is not an empty directory; remove it or choose another data root")
    lines = ["sample_id,split,group"]
    for split, (name, number) in enumerate((("train", n_train), ("test", n_test))):
        for index in range(number):
            sample_id = f"phantom_{len(lines) - 1:04d}"
            state = np.random.SeedSequence([seed, split, index]).generate_state(1, np.uint64)
            image, label_map = render_smear(spec, int(state[0]))
            write_image(root / "images" / f"{sample_id}.png", image)
            write_label_map(root / "labels" / f"{sample_id}.png", label_map)
            lines.append(f"{sample_id},{name},slide_{sample_id}")
            if progress is not None:
                progress(len(lines) - 1, n_train + n_test)
    write_text(root / "splits.csv", "\n".join(lines) + "\n")
