"""Pretrained weights of Faster R-CNN: by name, or from a file under torchvision's names."""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from http.client import HTTPException
from pathlib import Path
from typing import cast

import torch
from torch import Tensor, nn
from torchvision.models import get_model_weights
from torchvision.models.detection import FasterRCNN_ResNet50_FPN_Weights

from rbc_lightning.segmenters.shapes import read_state_dict


def load_detection_weights(detector: nn.Module, source: str, backbone: str) -> None:
    """Fill the trunk of a torchvision detector, or all of it but the last layer, depending on what the weights hold.

    The source is "imagenet" or "coco", from the local cache or else the network; or the path of a state dict.

    Raises:
        ValueError: the weights do not fit, or are damaged.
        OSError: no such file; or the named weights are not in the cache and cannot be fetched.
    """
    named = source in ("imagenet", "coco")
    state = _fetch(source, backbone) if named else read_state_dict(Path(source), "'imagenet', 'coco'")
    whole = any(name.startswith("backbone.") for name in state)
    # Classes are others: ImageNet's or COCO's.
    left_out = "roi_heads.box_predictor." if whole else "fc."
    state = {name: tensor for name, tensor in state.items() if not name.startswith(left_out)}
    module = detector if whole else detector.get_submodule("backbone.body")
    try:
        result = module.load_state_dict(state, strict=False)
    except RuntimeError as error:
        first = str(error).splitlines()[1].strip()
        raise ValueError(f"weights {source!r} do not fit this {backbone} detector: {first}") from error
    missing = [n for n in result.missing_keys if not n.startswith(left_out) and not n.endswith("num_batches_tracked")]
    if missing or result.unexpected_keys:
        raise ValueError(
            f"weights {source!r} do not fit this {backbone} detector: {len(missing)} tensors missing "
            f"({', '.join(missing[:3])}), {len(result.unexpected_keys)} unknown ({', '.join(result.unexpected_keys[:3])})."
        )


def _fetch(source: str, backbone: str) -> Mapping[str, Tensor]:
    if source == "coco" and backbone != "resnet50":
        raise ValueError(f"weights 'coco' exist for backbone resnet50 only, got {backbone}; take 'imagenet' or a file.")
    enum = FasterRCNN_ResNet50_FPN_Weights.COCO_V1 if source == "coco" else get_model_weights(backbone).IMAGENET1K_V1
    try:
        return cast(Mapping[str, Tensor], enum.get_state_dict(check_hash=True, map_location="cpu", weights_only=True))
    except (OSError, HTTPException) as error:
        raise OSError(
            f"weights {source!r}: no copy in {torch.hub.get_dir()}/checkpoints, and {enum.url} could not be fetched ({error}); "
            "give the path of a local copy of that file instead, or null to train from scratch"
        ) from error
    except (RuntimeError, pickle.UnpicklingError, EOFError) as error:
        raise ValueError(f"weights {source!r} are damaged: delete them from {torch.hub.get_dir()}/checkpoints.") from error
