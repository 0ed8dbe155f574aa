"""Instance means the plain way: one mask per id, as the public pix2pixHD does it."""

import torch
from torch import Tensor


def instance_mean_loop(features: Tensor, label_map: Tensor) -> Tensor:
    """Slow twin of `rbc_lightning.ops.labels.instance_mean`: (B, C, H, W) and (B, H, W) to (B, C, H, W)."""
    pooled = torch.empty_like(features, dtype=torch.float32)
    for item in range(len(features)):
        for instance in label_map[item].unique():
            mask = label_map[item] == instance
            for channel in range(features.shape[1]):
                pooled[item, channel][mask] = features[item, channel][mask].double().mean().float()
    return pooled
