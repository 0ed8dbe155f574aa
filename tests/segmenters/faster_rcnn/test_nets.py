"""Faster R-CNN: anchors and limits that follow the cells, pixels and coordinates left as they are, empty images."""

import pytest
import torch
from torch import nn
from torchvision.models.detection.image_list import ImageList
from torchvision.ops import box_iou
from torchvision.ops.misc import FrozenBatchNorm2d

from rbc_lightning.segmenters.faster_rcnn.nets import FasterRCNN, anchor_sizes

LITE = {"fpn_channels": 16, "head_channels": 32}


@pytest.fixture
def net():
    torch.manual_seed(0)
    return FasterRCNN(24, 20, **LITE)


@pytest.fixture
def two_images():
    """Two images 64 x 96 and the boxes in them."""
    image = torch.randn(2, 3, 64, 96, generator=torch.Generator().manual_seed(0))
    boxes = [torch.tensor([[4.0, 6, 28, 30], [50, 20, 75, 44]]), torch.tensor([[10.0, 10, 34, 33]])]
    return image, [{"boxes": found} for found in boxes]


def losses_of(net, images, targets):
    torch.manual_seed(1)  # of the draw of anchors and regions
    return net.train()(images, targets)


@pytest.mark.parametrize(
    ("cell_size", "expected"),
    [
        (45, (22.5, 45, 90, 180, 360)),
        (77, (19.25, 38.5, 77, 154, 308)),
        (32, (32, 64, 128, 256, 512)),
        (33, (16.5, 33, 66, 132, 264)),
        (10, (10, 20, 40, 80, 160)),
    ],
)
def test_anchors_double_from_sixteen_pixels_or_the_cell_and_hit_its_size(cell_size, expected):
    assert anchor_sizes(cell_size) == expected


@pytest.mark.parametrize("cell_size", [11.0, 24.0, 46.6, 77.3, 130.0])
def test_some_anchor_of_the_built_model_has_the_shape_of_a_cell(cell_size):
    generator = FasterRCNN(cell_size, 20, **LITE).detector.rpn.anchor_generator
    pyramid = [torch.zeros(1, 16, side, side) for side in (64, 32, 16, 8, 4)]
    (anchors,) = generator(ImageList(torch.zeros(1, 3, 256, 256), [(256, 256)]), pyramid)
    at_origin = anchors - torch.cat([(anchors[:, :2] + anchors[:, 2:]) / 2] * 2, dim=1)
    half = cell_size / 2
    iou = box_iou(torch.tensor([[-half, -half, half, half]]), at_origin)
    # torchvision rounds anchors to whole pixels, which tells on the smallest.
    assert iou.max() > (0.9 if cell_size > 16 else 0.8)
    assert len(anchors) == 3 * (64**2 + 32**2 + 16**2 + 8**2 + 4**2)


@pytest.mark.parametrize("max_cells", [7, 300, 1100])
def test_every_limit_of_the_built_model_is_twice_the_number_of_cells(max_cells):
    detector = FasterRCNN(46, max_cells, proposals=50, **LITE).detector
    for training in (True, False):
        rpn = detector.train(training).rpn
        assert min(rpn.pre_nms_top_n(), rpn.post_nms_top_n(), detector.roi_heads.detections_per_img) >= 2 * max_cells
    assert detector.rpn.post_nms_top_n() == max(50, 2 * max_cells)


def test_three_hundred_cells_of_one_image_are_all_found():
    net = FasterRCNN(16, 300, **LITE).eval()
    corners = torch.cartesian_prod(torch.arange(20), torch.arange(15)).float() * 20 + 2
    boxes = torch.cat((corners, corners + 16), dim=1)

    class AsTold(nn.Module):
        """A trained network's answers: these proposals are cells and sit right."""

        _pre_nms_top_n, _post_nms_top_n = {}, {}

        def forward(self, features, *_):
            if isinstance(features, ImageList):
                return [boxes], {}
            return torch.tensor([[-5.0, 5.0]]).expand(len(features), 2), torch.zeros(len(features), 8)

    net.detector.rpn = net.detector.roi_heads.box_predictor = AsTold()
    (found,) = net(torch.zeros(1, 3, 304, 404))
    assert len(found["boxes"]) == 300
    torch.testing.assert_close(found["boxes"].sort(dim=0).values, boxes.sort(dim=0).values, atol=1e-4, rtol=0)


def test_the_proposals_of_a_full_field_are_all_kept():
    rpn = FasterRCNN(16, 700, **LITE).detector.rpn
    corners = torch.cartesian_prod(torch.arange(40), torch.arange(35)).float() * 20
    boxes = torch.cat((corners, corners + 16), dim=1)
    for training in (True, False):
        (proposals,), _ = rpn.train(training).filter_proposals(boxes[None], torch.zeros(1, 1400), [(700, 800)], [1400])
        assert len(proposals) == 1400


@pytest.mark.parametrize("training", [True, False])
def test_images_are_padded_and_never_resized(net, training):
    seen = []
    net.train(training).detector.backbone.register_forward_pre_hook(lambda _, args: seen.append(args[0]))
    images = [torch.rand(3, 50, 70), torch.rand(3, 64, 33)]
    net(images, [{"boxes": torch.tensor([[1.0, 2, 20, 25]])}] * 2 if training else None)
    (stacked,) = seen
    assert stacked.shape == (2, 3, 64, 96)
    assert torch.equal(stacked[0, :, :50, :70], images[0])
    assert torch.equal(stacked[1, :, :64, :33], images[1])
    assert stacked[0, :, 50:].abs().sum() == stacked[0, :, :, 70:].abs().sum() == stacked[1, :, :, 33:].abs().sum() == 0


def test_the_first_image_may_be_tiny(net):
    pool = net.detector.roi_heads.box_roi_pool.align
    net.eval()(torch.rand(1, 3, 33, 33))
    assert pool.scales == [1 / 4, 1 / 8, 1 / 16, 1 / 32]


def test_coordinates_keep_their_precision_under_autocast(net):
    outputs = {}
    for name, part in (("anchors", net.detector.rpn.anchor_generator), ("proposals", net.detector.rpn)):
        part.register_forward_hook(lambda _, __, output, name=name: outputs.setdefault(name, []).append(output))
    net.eval()
    image = torch.randn(1, 3, 32, 1024, generator=torch.Generator().manual_seed(0))
    net(image)
    with torch.autocast("cpu", torch.bfloat16):
        (found,) = net(image)
    exact, mixed = outputs["anchors"]
    assert torch.equal(exact[0], mixed[0])
    (proposals,), _ = outputs["proposals"][1]
    assert proposals.dtype == found["boxes"].dtype == found["scores"].dtype == torch.float32
    far = proposals[proposals[:, 0] > 512, 0]
    # In bf16 coordinates beyond 512 are multiples of four.
    assert (far % 4 != 0).float().mean() > 0.9


def test_an_image_without_cells_has_no_box_losses_and_trains_the_rest(net, two_images):
    image, _ = two_images
    losses = losses_of(net, image, [{"boxes": torch.zeros(0, 4)}] * 2)
    assert losses["loss_box_reg"] == losses["loss_rpn_box_reg"] == 0
    # Untrained scores are even: the binary losses start near ln 2.
    assert losses["loss_objectness"].item() == pytest.approx(0.693, abs=0.05)
    assert losses["loss_classifier"].item() == pytest.approx(0.693, abs=0.3)
    sum(losses.values()).backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in net.parameters() if p.requires_grad)
    assert net.detector.rpn.head.cls_logits.weight.grad.abs().max() > 0


def test_a_batch_may_mix_images_with_and_without_cells(net, two_images):
    image, targets = two_images
    losses = losses_of(net, image, [targets[0], {"boxes": torch.zeros(0, 4)}])
    assert min(loss.item() for loss in losses.values()) > 0
    sum(losses.values()).backward()
    assert all(p.grad.isfinite().all() for p in net.parameters() if p.requires_grad)


def test_boxes_without_area_are_left_out(net, two_images):
    image, targets = two_images
    empty = torch.tensor([[5.0, 5, 5, 20], [8, 9, 30, 9], [3, 3, 3, 3]])
    expected = losses_of(net, image, targets)
    got = losses_of(net, image, [{"boxes": torch.cat((target["boxes"], empty))} for target in targets])
    assert {name: loss.item() for name, loss in got.items()} == {name: loss.item() for name, loss in expected.items()}


def test_an_untrained_detector_on_a_blank_image_finds_nothing_or_boxes_inside(net):
    (found,) = net.eval()(torch.zeros(1, 3, 40, 50))
    assert (found["boxes"] >= 0).all()
    assert (found["boxes"] <= torch.tensor([50.0, 40, 50, 40])).all()


def test_training_needs_targets(net):
    with pytest.raises(ValueError, match=r"in training mode needs targets; call eval\(\) to detect"):
        net.train()(torch.zeros(1, 3, 32, 32))


def test_the_paper_size_model_has_the_reference_number_of_parameters():
    with torch.device("meta"):
        paper = FasterRCNN(46, 20, backbone="resnet101", fpn_channels=256, head_channels=1024)
    norms = sum(p.numel() for m in paper.modules() if isinstance(m, nn.BatchNorm2d) for p in m.parameters())
    # The published count is that of frozen norms, which have no parameters.
    assert (sum(p.numel() for p in paper.parameters()) - norms) / 1e6 == pytest.approx(60.2, abs=0.05)
    assert all(p.requires_grad for p in paper.parameters())


@pytest.mark.parametrize(("norm", "kind"), [("batch", nn.BatchNorm2d), ("group", nn.GroupNorm)])
def test_from_scratch_every_norm_normalises(norm, kind):
    torch.manual_seed(0)
    net = FasterRCNN(24, 20, norm=norm, **LITE)
    trunk = net.detector.backbone.body
    assert sum(isinstance(m, kind) for m in trunk.modules()) == 20
    assert not any(isinstance(m, FrozenBatchNorm2d) for m in net.modules())
    deepest = trunk.train()(torch.randn(2, 3, 128, 128))["3"]
    assert 0.1 < deepest.std() < 10  # frozen norms let it grow to thousands


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"cell_size": 0}, "cell_size must be positive, got 0"),
        ({"cell_size": float("nan")}, "cell_size must be positive, got nan"),
        ({"max_cells": 0}, "max_cells must be at least 1, got 0"),
        ({"roi_samples": 0}, "roi_samples must be at least 1, got 0"),
        ({"backbone": "vgg16"}, "backbone must be resnet18, resnet50 or resnet101, got 'vgg16'"),
        ({"norm": "instance"}, "norm must be batch, group or frozen, got 'instance'"),
        ({"norm": "group", "weights": "imagenet"}, "norm 'group' has no use for weights trained with batch norm"),
        ({"weights": "coco"}, "weights 'coco' exist for backbone resnet50 only, got resnet18"),
        ({"weights": "imagenet", "in_channels": 2}, "'imagenet' are made for images of 3 channels, got in_channels 2"),
        ({"anchor_ratios": ()}, "anchor_ratios must be positive, got"),
        ({"nms_threshold": 0.0}, r"nms_threshold must lie in \(0, 1\], got 0.0"),
        ({"score_threshold": 1.0}, r"score_threshold must lie in \[0, 1\), got 1.0"),
        ({"roi_positive_fraction": 1.5}, r"roi_positive_fraction must lie in \(0, 1\], got 1.5"),
    ],
)
def test_bad_arguments_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        FasterRCNN(**{"cell_size": 24, "max_cells": 20, **LITE, **arguments})


def test_a_larger_field_has_room_for_as_many_cells_as_fit_into_it():
    net = FasterRCNN(cell_size=20, max_cells=10, fpn_channels=8, head_channels=8, proposals=20).eval()
    with torch.inference_mode():
        net(torch.zeros(1, 3, 64, 64))
        small = net.detector.roi_heads.detections_per_img
        net(torch.zeros(1, 3, 320, 640))
    assert small == 22  # 11 squares of 20 px, twice
    # 512 of them, twice and six times.
    assert net.detector.roi_heads.detections_per_img == 1024
    assert net.detector.rpn.post_nms_top_n() == 1024
    assert net.detector.rpn.pre_nms_top_n() == 3072


@pytest.mark.parametrize("channels", [1, 2])
def test_images_of_other_channels(channels, two_images):
    torch.manual_seed(0)
    net = FasterRCNN(24, 20, in_channels=channels, **LITE)
    first = net.detector.backbone.body.conv1.weight
    # He's normal initialisation by the fan out, torchvision's for ResNets.
    assert first.shape == (64, channels, 7, 7)
    assert first.std().item() == pytest.approx((2 / (64 * 7 * 7)) ** 0.5, rel=0.05)
    image, targets = two_images
    sum(losses_of(net, image[:, :channels], targets).values()).backward()
    assert first.grad.abs().max() > 0
    with pytest.raises(ValueError, match=rf"FasterRCNN takes images of shape \(B, {channels}, H, W\), got \(1, 3, 64, 96\)"):
        net.eval()(image)
