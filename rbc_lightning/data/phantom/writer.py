"""A phantom data set on disk."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np

from rbc_lightning.data.formats import write_image, write_label_map
from rbc_lightning.data.phantom.smear import render_smear
from rbc_lightning.data.phantom.spec import PhantomSpec
from rbc_lightning.errors import InputError


def write_phantom(
    root: Path,
    spec: PhantomSpec,
    n_train: int,
    n_test: int,
    seed: int,
    progress: Callable[[int, int], None] | None = None,
) -> None:
    """Write `images/<id>.png`, `labels/<id>.png` (16-bit label maps) and `splits.csv`; every image is its own slide.

    The folder appears whole or not at all: it is built beside `root` under a temporary name and then renamed. More
    images of one split leave the pictures of the other as they are.

    Args:
        root: Directory to make; may exist if it is empty.
        spec: Settings of every image.
        n_train: Number of training images, at least 1.
        n_test: Number of test images, at least 1.
        seed: Non-negative integer.
        progress: Called with (images written, images in all) after each image.

    Raises:
        ValueError: If a number of images is below 1 or `seed` is negative.
        InputError: If `root` is a file or a directory with something in it.
    """
    if n_train < 1 or n_test < 1:
        raise ValueError(f"n_train and n_test must be at least 1, got {n_train} and {n_test}")
    if seed < 0:
        raise ValueError(f"seed must be zero or positive, got {seed}")
    if root.exists() and (not root.is_dir() or any(root.iterdir())):
        raise InputError(f"{root}: exists and is not an empty directory; remove it or choose another data root")
    root.parent.mkdir(parents=True, exist_ok=True)
    part = Path(tempfile.mkdtemp(prefix=f".{root.name}.", suffix=".part", dir=root.parent))
    try:
        _fill(part, spec, {"train": n_train, "test": n_test}, seed, progress)
        part.chmod(0o755)  # mkdtemp makes it private
        part.replace(root)
    finally:
        shutil.rmtree(part, ignore_errors=True)


def _fill(
    part: Path, spec: PhantomSpec, numbers: dict[str, int], seed: int, progress: Callable[[int, int], None] | None
) -> None:
    total = sum(numbers.values())
    lines = ["sample_id,split,group"]
    for split, (name, number) in enumerate(numbers.items()):
        for index in range(number):
            sample_id = f"phantom_{len(lines) - 1:04d}"
            state = np.random.SeedSequence([seed, split, index]).generate_state(1, np.uint64)
            image, label_map = render_smear(spec, int(state[0]))
            write_image(part / "images" / f"{sample_id}.png", image)
            write_label_map(part / "labels" / f"{sample_id}.png", label_map)
            lines.append(f"{sample_id},{name},slide_{sample_id}")
            if progress is not None:
                progress(len(lines) - 1, total)
    (part / "splits.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
