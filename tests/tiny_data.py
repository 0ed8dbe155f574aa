"""Tiny data sets for the tests, drawn from a seed: dark discs with a pale centre on a light ground."""

from pathlib import Path

import numpy as np
from PIL import Image


def disc_smear(seed: int, height: int = 96, width: int = 128, radius: int = 11, count: int = 9):
    """An image uint8 (H, W, 3) and its label map int32 (H, W) of discs that do not overlap."""
    rng = np.random.default_rng(seed)
    rows, columns = np.mgrid[:height, :width]
    image = np.full((height, width, 3), (215, 210, 220), dtype=np.float64)
    label_map = np.zeros((height, width), dtype=np.int32)
    centers: list[np.ndarray] = []
    while len(centers) < count:
        center = rng.uniform((radius, radius), (height - radius - 1, width - radius - 1))
        if all(np.hypot(*(center - other)) > 2 * radius + 1 for other in centers):
            distance = np.hypot(rows - center[0], columns - center[1])
            label_map[distance <= radius] = len(centers) + 1
            image[distance <= radius] = (150, 110, 130)
            image[distance <= radius / 3] = (180, 150, 165)
            centers.append(center)
    image += rng.normal(0, 4, image.shape)
    return image.clip(0, 255).astype(np.uint8), label_map


def write_tiny_folder(root: Path, n_train: int = 5, n_test: int = 2, group_of=lambda index: f"slide_{index}") -> Path:
    """A data set folder as `data=folder` expects it; returns its root."""
    lines = ["sample_id,split,group"]
    for directory in ("images", "labels"):
        (root / directory).mkdir(parents=True)
    for index in range(n_train + n_test):
        image, label_map = disc_smear(seed=100 + index)
        name = f"smear_{index:02d}"
        Image.fromarray(image).save(root / "images" / f"{name}.png")
        Image.fromarray(label_map.astype(np.uint16)).save(root / "labels" / f"{name}.png")
        lines.append(f"{name},{'train' if index < n_train else 'test'},{group_of(index)}")
    (root / "splits.csv").write_text("\n".join(lines) + "\n")
    return root
