"""Averages of feature channels over instances: as a table, painted back, or both at once.

Features are float (B, C, H, W), label maps integer (B, H, W) with ids >= 0; 0, the background, is an instance too.
"""

from __future__ import annotations

from typing import Any, cast

import torch
from torch import Tensor


def instance_table(features: Tensor, label_map: Tensor) -> Tensor:
    """Average every feature channel over every instance.

    Args:
        features: float (B, C, H, W).
        label_map: integer (B, H, W), ids >= 0.

    Returns:
        (B, N, C) with N = largest id + 1; row `i` belongs to id `i`, rows of absent ids are zero. float64 for float64
        features, else float32.

    Raises:
        TypeError, ValueError: see `instance_mean`.
    """
    _check_pair(features, label_map)
    n_ids = _count_ids(label_map)
    index = _flat_index(label_map, n_ids)
    batch, channels = features.shape[:2]
    # Double sums: a background of half a million pixels would lose four digits in single precision.
    flat = features.double().permute(1, 0, 2, 3).reshape(channels, -1)
    sums = flat.new_zeros(channels, batch * n_ids).scatter_add(1, index.expand(channels, -1), flat)
    counts = torch.bincount(index, minlength=batch * n_ids).clamp_min(1)
    return (sums / counts).to(_result_dtype(features)).reshape(channels, batch, n_ids).permute(1, 2, 0)


def paint_table(table: Tensor, label_map: Tensor) -> Tensor:
    """Give every pixel the row of its instance: the inverse of `instance_table`.

    Args:
        table: (B, N, C), N > largest id.
        label_map: integer (B, H, W).

    Returns:
        (B, C, H, W) of the table's dtype.
    """
    _, n_ids, channels = table.shape
    largest = _count_ids(label_map) - 1
    if largest >= n_ids:
        raise ValueError(f"the label map holds id {largest}, the table has rows for 0..{n_ids - 1} only")
    index = _flat_index(label_map, n_ids)
    flat = table.permute(2, 0, 1).reshape(channels, -1)
    # One gather per channel from a table that fits in cache: several times faster than fetching whole rows.
    painted = flat.gather(1, index.expand(channels, -1))
    return painted.reshape(channels, *label_map.shape).transpose(0, 1)


def instance_mean(features: Tensor, label_map: Tensor) -> Tensor:
    """Replace every channel by its mean over each instance, the background being an instance too.

    The instance-wise average pooling of pix2pixHD's encoder, per batch item: a compiled loop over the pixels on the
    CPU, a scatter and a gather elsewhere. One operator to autograd and `torch.compile`, differentiable any number of times.

    Args:
        features: float (B, C, H, W).
        label_map: integer (B, H, W), ids >= 0.

    Returns:
        (B, C, H, W), float64 for float64 features, else float32.

    Raises:
        TypeError: the label map is not an integer tensor.
        ValueError: shapes disagree, or an id is negative.
    """
    _check_pair(features, label_map)
    return cast(Tensor, _pool(features.to(_result_dtype(features)), label_map))


@torch.library.custom_op(
    "rbc_lightning::instance_mean", mutates_args=(), schema="(Tensor features, Tensor label_map) -> Tensor"
)
def _pool(features: Tensor, label_map: Tensor) -> Tensor:
    return paint_table(instance_table(features, label_map), label_map).contiguous()


@_pool.register_kernel("cpu")
def _pool_on_cpu(features: Tensor, label_map: Tensor) -> Tensor:
    # Here, since Numba takes a third of a second to import and the other label operations do without it.
    from rbc_lightning.core.instance_kernels import average_instances

    batch, channels = features.shape[:2]
    n_ids = _count_ids(label_map)
    ids = (label_map if label_map.dtype == torch.int32 else label_map.long()).reshape(batch, -1).numpy()
    values = features.reshape(batch, channels, -1).numpy()
    pooled = torch.empty(features.shape, dtype=features.dtype)
    for item, output in enumerate(pooled.view(batch, channels, -1).numpy()):
        average_instances(values[item], ids[item], n_ids, output)
    return pooled


@_pool.register_fake
def _pool_shape(features: Tensor, label_map: Tensor) -> Tensor:  # noqa: ARG001  # the operator's signature
    return torch.empty(features.shape, dtype=features.dtype, device=features.device)


def _keep_label_map(ctx: Any, inputs: tuple[Tensor, Tensor], output: Tensor) -> None:  # noqa: ANN401, ARG001  # torch's hook
    ctx.save_for_backward(inputs[1])


def _pool_backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:  # noqa: ANN401  # torch's hook
    # Averaging over groups is a symmetric projection, so its gradient is the average of the gradient.
    return cast(Tensor, _pool(gradient, ctx.saved_tensors[0])), None


_pool.register_autograd(_pool_backward, setup_context=_keep_label_map)


def check_integer(label_map: Tensor) -> None:
    """Refuse a label map that is no integer tensor.

    Raises:
        TypeError: floating or complex ids.
    """
    if label_map.is_floating_point() or label_map.is_complex():
        raise TypeError(f"expected an integer label map, got {label_map.dtype}: ids must not pass through floats")


def _check_pair(features: Tensor, label_map: Tensor) -> None:
    check_integer(label_map)
    if features.ndim != 4 or label_map.ndim != 3:
        shapes = f"{tuple(features.shape)} and {tuple(label_map.shape)}"
        raise ValueError(f"expected features (B, C, H, W) and a label map (B, H, W), got {shapes}")
    if (features.shape[0], *features.shape[2:]) != tuple(label_map.shape):
        raise ValueError(
            f"features {tuple(features.shape)} and label map {tuple(label_map.shape)} differ in batch or image size"
        )


def _count_ids(label_map: Tensor) -> int:
    """Largest id + 1; refuses negative ids, which index nothing."""
    lowest, highest = (int(value) for value in label_map.aminmax())
    if lowest < 0:
        raise ValueError(f"ids must not be negative, got {lowest}; was a 16-bit file read as signed?")
    return highest + 1


def _result_dtype(features: Tensor) -> torch.dtype:
    return torch.promote_types(features.dtype, torch.float32)


def _flat_index(label_map: Tensor, n_ids: int) -> Tensor:
    """Number the instances of all batch items apart: (B*H*W,)."""
    offset = torch.arange(len(label_map), device=label_map.device).view(-1, 1, 1) * n_ids
    return (label_map.long() + offset).reshape(-1)
