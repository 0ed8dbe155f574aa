"""Pretrained weights of Faster R-CNN: from a file or by name, and what does not fit."""

import socket

import pytest
import torch
from torch import nn
from torchvision.models import resnet18
from torchvision.ops.misc import FrozenBatchNorm2d

from rbc_lightning.segmenters.faster_rcnn.nets import FasterRCNN

LITE = {"fpn_channels": 16, "head_channels": 32}


def test_trunk_weights_come_from_a_file(tmp_path):
    torch.manual_seed(3)
    trunk = resnet18()
    torch.save(trunk.state_dict(), tmp_path / "trunk.pth")
    for norm, kind in (("batch", nn.BatchNorm2d), ("frozen", FrozenBatchNorm2d)):
        body = FasterRCNN(24, 20, norm=norm, weights=str(tmp_path / "trunk.pth"), **LITE).detector.backbone.body
        assert torch.equal(body.layer4[1].conv2.weight, trunk.layer4[1].conv2.weight)
        assert isinstance(body.bn1, kind)
        assert torch.equal(body.bn1.running_mean, trunk.bn1.running_mean)


def test_detector_weights_come_from_a_file_but_for_the_classes(tmp_path):
    other = FasterRCNN(30, 5, **LITE)
    state = other.detector.state_dict()
    # As in COCO's file: 91 classes.
    state["roi_heads.box_predictor.cls_score.weight"] = torch.zeros(91, 32)
    torch.save(state, tmp_path / "detector.pth")
    loaded = FasterRCNN(24, 20, weights=str(tmp_path / "detector.pth"), **LITE).detector
    for name in ("rpn.head.cls_logits.weight", "roi_heads.box_head.fc6.weight", "backbone.fpn.inner_blocks.0.0.weight"):
        assert torch.equal(loaded.state_dict()[name], state[name])
    assert loaded.roi_heads.box_predictor.cls_score.weight.shape == (2, 32)


def test_weights_that_do_not_fit_are_named(tmp_path):
    path = tmp_path / "weights.pth"
    torch.save(resnet18().state_dict(), path)
    with pytest.raises(ValueError, match=r"weights.pth' do not fit this resnet50 detector: .*layer1.0.conv1.weight") as raised:
        FasterRCNN(24, 20, backbone="resnet50", weights=str(path), **LITE)
    assert "\n" not in str(raised.value)
    torch.save({"conv1.weight": torch.zeros(64, 3, 7, 7), "conv9.weight": torch.zeros(1)}, path)
    with pytest.raises(ValueError, match=r"tensors missing \(bn1.weight, .*\), 1 unknown \(conv9.weight\)"):
        FasterRCNN(24, 20, weights=str(path), **LITE)
    torch.save([1, 2], path)
    with pytest.raises(ValueError, match="hold a list; expected a state dict"):
        FasterRCNN(24, 20, weights=str(path), **LITE)
    path.write_bytes(b"no weights")
    with pytest.raises(ValueError, match="are damaged, or more than tensors; expected a state dict"):
        FasterRCNN(24, 20, weights=str(path), **LITE)
    with pytest.raises(FileNotFoundError, match=r"no file nowhere\.pth; expected 'imagenet', 'coco', null or the path"):
        FasterRCNN(24, 20, weights="nowhere.pth", **LITE)


@pytest.mark.parametrize(("backbone", "weights"), [("resnet18", "imagenet"), ("resnet50", "coco")])
def test_no_network_is_one_line_that_names_the_way_out(hub_offline, backbone, weights):
    with pytest.raises(
        OSError, match=f"weights '{weights}': no copy in .*give the path of a local copy of that file"
    ) as raised:
        FasterRCNN(24, 20, backbone=backbone, weights=weights)
    assert "\n" not in str(raised.value)


def test_without_named_weights_the_network_is_left_alone(monkeypatch):
    def refuse(*args, **kwargs):
        raise AssertionError("reached for the network")

    monkeypatch.setattr(torch.hub, "load_state_dict_from_url", refuse)
    monkeypatch.setattr(socket, "create_connection", refuse)
    FasterRCNN(24, 20, **LITE)
