"""Style vectors of single training images, before they are clustered."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.ndimage import center_of_mass
from scipy.spatial import cKDTree
from torch import Tensor, nn

from rbc_lightning.core.labels import instance_table
from rbc_lightning.translators.conditioning import reflect_pad, shrink_pair

if TYPE_CHECKING:
    from rbc_lightning.translators.pix2pixhd.task import Pix2PixHDTask

BACKGROUND, CELL = 0, 1
CLASS_NAMES = {BACKGROUND: "background", CELL: "cell"}
_LEAST_AREA = 0.5  # of an instance, as a share of the median of its class


def weights_hash(module: nn.Module) -> str:
    """Fingerprint of a network: SHA-256 over names, shapes and values of its tensors."""
    digest = hashlib.sha256()
    for name, tensor in sorted(module.state_dict().items()):
        array = tensor.detach().cpu().contiguous().numpy()
        digest.update(f"{name}{array.dtype}{array.shape}".encode())
        digest.update(array.tobytes())
    return digest.hexdigest()


@dataclass(frozen=True)
class ImageStyles:
    """What the encoder says about one training image.

    Attributes:
        sample_id: of the image.
        vectors: float32 (N, C); row i is the style of id i, row 0 the background.
        areas: int (N,), pixels of each id; 0 = absent.
    """

    sample_id: str
    vectors: NDArray[np.float32]
    areas: NDArray[np.int64]


@torch.inference_mode()
def encode_instances(task: Pix2PixHDTask, image: Tensor, label_map: Tensor) -> Tensor:
    """Style vector of every instance of an image (C, H, W) in [0, 1], at the size that the task's encoder was trained on.

    A cell that is lost when the label map (H, W) shrinks takes the vector of the nearest one that is left.

    Returns:
        float32 (N, S), N = largest id + 1; row 0 is the background, rows of ids that `label_map` lacks are zero.
    """
    encoder, multiple = task.painting_networks()[1], task.settings.multiple
    device = next(encoder.parameters()).device
    small, ids = shrink_pair(image[None].to(device), label_map[None].to(device), task.hparams["shrink"])
    features = encoder(reflect_pad(small, multiple) * 2 - 1, reflect_pad(ids, multiple))
    known = instance_table(features, reflect_pad(ids, multiple))[0].cpu()
    areas = torch.bincount(label_map.reshape(-1))
    table = torch.zeros(len(areas), known.shape[1])
    table[: len(known)] = known[: len(areas)]
    left = torch.bincount(ids.reshape(-1).cpu(), minlength=len(areas)) > 0
    lost = torch.nonzero((areas > 0) & ~left)[:, 0]
    if len(lost):
        table[lost] = table[_nearest(label_map.cpu().numpy(), lost.numpy(), torch.nonzero(left)[:, 0].numpy())]
    return table


def _nearest(label_map: NDArray[np.int64], lost: NDArray[np.int64], left: NDArray[np.int64]) -> NDArray[np.int64]:
    """For each lost id the one of `left` whose centroid is nearest; background only where no cell is left."""
    candidates = left[left > 0] if (left > 0).any() else left
    wanted, offered = (np.array(center_of_mass(label_map >= 0, label_map, ids)) for ids in (lost, candidates))
    return np.asarray(candidates[cKDTree(offered).query(wanted)[1]])


def encode_samples(task: Pix2PixHDTask, samples: Iterable[Mapping[str, Any]]) -> list[ImageStyles]:
    """Encode whole samples: `image` float32 (C, H, W) in [0, 1], `label_map` (H, W), `sample_id`."""
    return [
        ImageStyles(
            str(sample["sample_id"]),
            encode_instances(task, sample["image"], sample["label_map"]).numpy(),
            torch.bincount(sample["label_map"].reshape(-1)).numpy(),
        )
        for sample in samples
    ]


def gather_rows(images: Sequence[ImageStyles]) -> tuple[NDArray[np.float32], NDArray[np.int64], NDArray[np.int64]]:
    """Line up all instances of the training images that are large enough for their class.

    Returns:
        vectors float32 (R, C), classes int64 (R,), sources int64 (R,): index of the image.
    """
    if not images:
        raise ValueError("no training image: styles are gathered from at least one")
    areas = np.concatenate([image.areas for image in images])
    vectors = np.concatenate([image.vectors for image in images])
    classes = np.concatenate([np.minimum(np.arange(len(image.areas)), 1) for image in images])
    sources = np.repeat(np.arange(len(images)), [len(image.areas) for image in images])
    keep = areas > 0
    for kind, name in CLASS_NAMES.items():
        present = (classes == kind) & (areas > 0)
        if not present.any():
            raise ValueError(f"the {len(images)} training images hold no {name} pixel: no {name} style can be drawn")
        keep &= (classes != kind) | (areas >= _LEAST_AREA * np.median(areas[present]))
    paired = np.intersect1d(sources[keep & (classes == BACKGROUND)], sources[keep & (classes == CELL)])
    if not len(paired):
        raise ValueError("no training image holds both background and a cell: their styles cannot be drawn together")
    return vectors[keep].astype(np.float32), classes[keep].astype(np.int64), sources[keep].astype(np.int64)
