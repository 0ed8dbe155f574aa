"""Instance-wise average pooling inside a network.

The same operation as `rbc_lightning.ops.labels.instance_mean`, kept apart because networks import nothing else of the
package; a test holds the two equal. This one is plain PyTorch on every device: in a training step, where convolutions take
all the time, the other's compiled loop would gain less than one percent.
"""

from __future__ import annotations

import torch
from torch import Tensor


def pool_instances(features: Tensor, label_map: Tensor) -> Tensor:
    """Replace every channel by its mean over each instance of each batch item, background included.

    Args:
        features: float (B, C, H, W).
        label_map: integer (B, H, W), ids >= 0.

    Returns:
        (B, C, H, W), float64 for float64 features, else float32.
    """
    batch, channels = features.shape[:2]
    lowest, highest = (int(value) for value in label_map.aminmax())
    if lowest < 0:
        raise ValueError(f"the label map holds id {lowest}; expected 0 = background and 1..n = cells")
    n_ids = highest + 1
    offset = torch.arange(batch, device=label_map.device).view(-1, 1, 1) * n_ids
    index = (label_map.long() + offset).reshape(-1)
    # Double sums: a background of half a million pixels would lose four digits in single precision.
    flat = features.double().permute(1, 0, 2, 3).reshape(channels, -1)
    spread = index.expand(channels, -1)
    sums = flat.new_zeros(channels, batch * n_ids).scatter_add(1, spread, flat)
    means = (sums / torch.bincount(index, minlength=batch * n_ids).clamp_min(1)).to(
        torch.promote_types(features.dtype, torch.float32)
    )
    return means.gather(1, spread).reshape(channels, *label_map.shape).transpose(0, 1)
