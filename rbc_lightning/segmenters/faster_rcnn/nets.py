"""Faster R-CNN with a feature pyramid (Bailo et al. 2019, Sec. 5.3; Ren et al. 2015, Lin et al. 2017), sized from the data.

torchvision's parts, but for what breaks on a field of many small cells: images are not resized, anchors follow the
cells' size, no limit lies below twice the number of cells, and coordinates stay float32 under autocast.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial
from typing import Any, Literal, cast, get_args

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torchvision.models import resnet
from torchvision.models.detection import FasterRCNN as TorchvisionFasterRCNN
from torchvision.models.detection.anchor_utils import AnchorGenerator
from torchvision.models.detection.backbone_utils import BackboneWithFPN
from torchvision.models.detection.faster_rcnn import FastRCNNPredictor, TwoMLPHead
from torchvision.models.detection.image_list import ImageList
from torchvision.ops import MultiScaleRoIAlign
from torchvision.ops.misc import FrozenBatchNorm2d

from rbc_lightning.segmenters.faster_rcnn.weights import load_detection_weights
from rbc_lightning.segmenters.shapes import check_counts, check_image

Backbone = Literal["resnet18", "resnet50", "resnet101"]
Norm = Literal["batch", "group", "frozen"]
Boxes = dict[str, Tensor]

STRIDE = 32
"""Images are padded to multiples of this, the stride of the backbone's last stage."""
N_LEVELS = 5
"""Levels of the pyramid: strides 4, 8, 16, 32, and 64 by subsampling the last."""
SMALLEST_ANCHOR = 16.0
ROI_SIZE = 7
_STAGES = ("layer1", "layer2", "layer3", "layer4")
_N_CLASSES = 2  # background and cell


class FasterRCNN(nn.Module):
    """Finds the boxes of cells.

    Args:
        cell_size: Side of a typical cell's box in pixels; one level of the pyramid has anchors of this size.
        max_cells: Largest number of cells in one image. Every limit (candidates of a level, proposals, detections) is
            twice this number or more. In evaluation six times as many candidates stand for proposal, since several
            anchors of a level fit each cell.
            A field larger than those of training has limits for as many cells as fit into it.
        fpn_channels: Channels of the pyramid; 256 in the paper, 64 is enough for one class and fast on a CPU.
        head_channels: Width of the two layers that classify a region; 1024 in the paper.
        norm: "batch", "group" (32 groups, for batches of one image), or "frozen", which needs `weights` to be trained.
        weights: None (from scratch), "imagenet" (trunk), "coco" (resnet50: whole detector), or the path of a file with
            either under torchvision's names. Smears are standardised per image, much like ImageNet's normalisation.
        anchor_ratios: Height by width of the anchors.
        proposals: Regions kept of each image, at least; more where `max_cells` asks for it.
        rpn_samples: Anchors per image on which proposals are trained.
        roi_samples: Regions per image on which the head is trained.
        roi_positive_fraction: Largest share of cells among them.
        score_threshold: Detections below are dropped. Precision at high recall counts in AP: keep it low.
        nms_threshold: IoU above which the weaker of two detections is dropped. Boxes of two cells of the real smears have
            0.13 at most in 99 of 100 cases, never 0.4.
        in_channels: Channels of the image; weights by name or file are made for 3.

    Raises:
        ValueError: If an argument is out of its range, or weights do not fit.
        OSError: If weights cannot be read or fetched.
    """

    def __init__(
        self,
        cell_size: float,
        max_cells: int,
        backbone: Backbone = "resnet18",
        fpn_channels: int = 256,
        head_channels: int = 1024,
        norm: Norm = "batch",
        weights: str | None = None,
        anchor_ratios: Sequence[float] = (0.5, 1.0, 2.0),
        proposals: int = 300,
        rpn_samples: int = 256,
        roi_samples: int = 128,
        roi_positive_fraction: float = 0.25,
        score_threshold: float = 0.05,
        nms_threshold: float = 0.4,
        in_channels: int = 3,
    ) -> None:
        super().__init__()
        check_counts(max_cells=max_cells, fpn_channels=fpn_channels, head_channels=head_channels, in_channels=in_channels)
        check_counts(proposals=proposals, rpn_samples=rpn_samples, roi_samples=roi_samples)
        if not (math.isfinite(cell_size) and cell_size > 0):
            raise ValueError(f"cell_size must be positive, got {cell_size}.")
        _check_parts(backbone, norm, weights, in_channels)
        if not anchor_ratios or min(anchor_ratios) <= 0:
            raise ValueError(f"anchor_ratios must be positive, got {list(anchor_ratios)}.")
        if not 0 <= score_threshold < 1:
            raise ValueError(f"score_threshold must lie in [0, 1), got {score_threshold}.")
        for name, share in {"nms_threshold": nms_threshold, "roi_positive_fraction": roi_positive_fraction}.items():
            if not 0 < share <= 1:
                raise ValueError(f"{name} must lie in (0, 1], got {share}.")
        self.cell_size, self.nms_threshold, self.in_channels = float(cell_size), nms_threshold, in_channels
        self._bare_norms = norm == "frozen" and weights is None
        self._kept, self._candidates = max(proposals, 2 * max_cells), max(1000, 6 * max_cells)
        pyramid = _pyramid(backbone, fpn_channels, norm, in_channels)
        sizes = tuple((size,) for size in anchor_sizes(cell_size))
        self.detector = TorchvisionFasterRCNN(
            pyramid,
            rpn_anchor_generator=AnchorGenerator(sizes, (tuple(anchor_ratios),) * N_LEVELS),
            rpn_pre_nms_top_n_train=self._kept,
            rpn_pre_nms_top_n_test=self._candidates,
            rpn_post_nms_top_n_train=self._kept,
            rpn_post_nms_top_n_test=self._kept,
            rpn_batch_size_per_image=rpn_samples,
            box_head=TwoMLPHead(fpn_channels * ROI_SIZE**2, head_channels),
            box_predictor=FastRCNNPredictor(head_channels, _N_CLASSES),
            box_score_thresh=score_threshold,
            box_nms_thresh=nms_threshold,
            box_detections_per_img=self._kept,
            box_batch_size_per_image=roi_samples,
            box_positive_fraction=roi_positive_fraction,
        )
        self.detector.transform = FullScale()
        self.detector.roi_heads.box_roi_pool = _RegionPool()
        # bf16 has eight bits of precision: a coordinate of 500 would be rounded to an even number of pixels.
        for module in (pyramid, self.detector.rpn.head, self.detector.roi_heads.box_predictor):
            module.register_forward_hook(_to_float32)
        if weights is not None:
            load_detection_weights(self.detector, weights, backbone)

    def forward(self, images: Tensor | Sequence[Tensor], targets: Sequence[Boxes] | None = None) -> Any:  # noqa: ANN401 (two kinds of result)
        """Losses in training mode, detections in evaluation mode, as torchvision's detectors.

        Args:
            images: Float (B, in_channels, H, W), or a list of (in_channels, H, W) of any sizes; standardised.
            targets: In training, per image `boxes` float32 (n, 4) as (x1, y1, x2, y2) in pixels, x2 and y2 exclusive.
                n may be 0; boxes without area are left out.

        Returns:
            Training: dict of four scalars `loss_classifier`, `loss_box_reg`, `loss_objectness`, `loss_rpn_box_reg`.
            Evaluation: per image a dict of `boxes` float32 (n, 4) and `scores` float32 (n,), best first.

        Raises:
            ValueError: If an image has another number of channels, or there are no targets in training.
        """
        for image in images:
            check_image(self, image[None], self.in_channels)
        labelled = None if targets is None else [_labelled(target["boxes"]) for target in targets]
        if self.training and labelled is None:
            raise ValueError("FasterRCNN in training mode needs targets; call eval() to detect.")
        if not self.training:
            self._raise_limits(max(image.shape[-2] * image.shape[-1] for image in images))
        return self.detector(list(images), labelled)

    def check_trainable(self) -> None:
        """Refuse frozen norms that no weights were read into, by a ValueError."""
        if self._bare_norms:
            raise ValueError("norm 'frozen' without weights normalises nothing; name weights, or take norm 'batch'.")

    def _raise_limits(self, area: int) -> None:
        """Let a field larger than the training images have as many cells as fit into it, `area` in pixels, side by side."""
        room = math.ceil(area / self.cell_size**2)
        kept = max(self._kept, 2 * room)
        self.detector.rpn._pre_nms_top_n["testing"] = max(self._candidates, 6 * room)
        self.detector.rpn._post_nms_top_n["testing"] = kept
        self.detector.roi_heads.detections_per_img = kept


class FullScale(nn.Module):
    """Takes the place of torchvision's resizing: pads images to one size, a multiple of 32, with zeros."""

    def forward(self, images: Sequence[Tensor], targets: list[Boxes] | None = None) -> tuple[ImageList, list[Boxes] | None]:
        """Stack images (C, H, W) in channels_last order; targets are handed on."""
        sizes = [(image.shape[-2], image.shape[-1]) for image in images]
        height, width = (math.ceil(max(side) / STRIDE) * STRIDE for side in zip(*sizes, strict=True))
        padded = [F.pad(image, (0, width - image.shape[-1], 0, height - image.shape[-2])) for image in images]
        return ImageList(torch.stack(padded).contiguous(memory_format=torch.channels_last), sizes), targets

    def postprocess(self, result: list[Boxes], *_sizes: object) -> list[Boxes]:
        """Boxes need no scaling back."""
        return result


class _RegionPool(nn.Module):
    """RoIAlign on the levels of stride 4 to 32."""

    def __init__(self) -> None:
        super().__init__()
        self.output_size = (ROI_SIZE, ROI_SIZE)
        self.align = MultiScaleRoIAlign(["0", "1", "2", "3"], output_size=ROI_SIZE, sampling_ratio=2)

    def forward(self, features: dict[str, Tensor], boxes: list[Tensor], image_shapes: list[tuple[int, int]]) -> Tensor:
        # torchvision guesses the strides from the first image it sees; below 46 px it would guess wrong without the padding.
        height, width = features["0"].shape[-2:]
        return cast(Tensor, self.align(features, boxes, [(4 * height, 4 * width)] * len(image_shapes)))


def anchor_sizes(cell_size: float) -> tuple[float, ...]:
    """Side of the square anchor of each level, doubling from level to level, one of them `cell_size`.

    The first is cell_size / 2**k in (16, 32] px, or cell_size itself where that is smaller: what lies at stride 4 then
    covers four to eight positions.
    """
    smallest = float(cell_size)
    while smallest > 2 * SMALLEST_ANCHOR:
        smallest /= 2
    return tuple(smallest * 2**level for level in range(N_LEVELS))


def _pyramid(backbone: Backbone, channels: int, norm: Norm, in_channels: int) -> nn.Module:
    layers = {"batch": nn.BatchNorm2d, "group": partial(nn.GroupNorm, 32), "frozen": FrozenBatchNorm2d}
    trunk = getattr(resnet, backbone)(weights=None, norm_layer=layers[norm])
    if in_channels != trunk.conv1.in_channels:
        trunk.conv1 = nn.Conv2d(in_channels, trunk.conv1.out_channels, 7, stride=2, padding=3, bias=False)
        nn.init.kaiming_normal_(trunk.conv1.weight, mode="fan_out", nonlinearity="relu")
    widths = [trunk.inplanes // 2 ** (3 - stage) for stage in range(len(_STAGES))]
    return cast(nn.Module, BackboneWithFPN(trunk, {name: str(i) for i, name in enumerate(_STAGES)}, widths, channels))


def _labelled(boxes: Tensor) -> Boxes:
    boxes = boxes.reshape(-1, 4).float()
    boxes = boxes[(boxes[:, 2:] > boxes[:, :2]).all(dim=1)]
    return {"boxes": boxes, "labels": torch.ones(len(boxes), dtype=torch.int64, device=boxes.device)}


def _to_float32(_module: nn.Module, _args: object, output: Any) -> Any:  # noqa: ANN401 (dicts, lists, tuples of tensors)
    if isinstance(output, Tensor):
        return output.float()
    if isinstance(output, dict):
        return type(output)((name, value.float()) for name, value in output.items())
    return type(output)(_to_float32(nn.Identity(), None, value) for value in output)


def _check_parts(backbone: str, norm: str, weights: str | None, in_channels: int) -> None:
    if backbone not in get_args(Backbone):
        raise ValueError(f"backbone must be resnet18, resnet50 or resnet101, got {backbone!r}.")
    if norm not in get_args(Norm):
        raise ValueError(f"norm must be batch, group or frozen, got {norm!r}.")
    if weights is not None and norm == "group":
        raise ValueError("norm 'group' has no use for weights trained with batch norm; take norm 'frozen' or 'batch'.")
    if weights is not None and in_channels != 3:
        raise ValueError(f"weights {weights!r} are made for images of 3 channels, got in_channels {in_channels}; take None.")
