"""Ensembles: the mean of probabilities as logits, weights put together, models of several members, and which have none."""

import pytest
import torch
from torch import nn

from rbc_lightning.errors import InputError
from rbc_lightning.segmenters.ensemble import Ensemble, join_weights
from rbc_lightning.segmenters.model import Model

NET = {"_target_": "rbc_lightning.segmenters.wmh_unet.nets.WmhUNet", "width": 0.03, "in_channels": 2}
TASK = {"_target_": "rbc_lightning.segmenters.segmentation.SegmentationTask", "threshold": 0.4}


class Given(nn.Module):
    """The same logits for every image."""

    def __init__(self, *values):
        super().__init__()
        self.values = torch.tensor(values)

    def forward(self, image):
        return self.values[None, :, None, None].expand(len(image), -1, *image.shape[-2:])


def test_the_sigmoid_is_the_mean_of_the_members():
    image = torch.zeros(1, 1, 1, 1)
    # Probabilities 0.5 and 0.9, mean 0.7; a second map of its own with 0.5 and 0.1, mean 0.3.
    logits = Ensemble([Given(0.0, 0.0), Given(torch.tensor(9.0).log(), -torch.tensor(9.0).log())], softmax=False)(image)
    torch.testing.assert_close(logits.sigmoid().flatten(), torch.tensor([0.7, 0.3]))
    # Where one is as good as certain its probability is not 1 in float32, and the mean of two such is no infinity.
    certain = Ensemble([Given(200.0), Given(100.0)], softmax=False)(image)
    assert certain.isfinite().all()
    assert certain.sigmoid() == 1
    assert Ensemble([Given(200.0), Given(-200.0)], softmax=False)(image).sigmoid().item() == pytest.approx(0.5)


def test_the_softmax_is_the_mean_of_the_members():
    first, second = torch.tensor([0.2, 0.3, 0.5]), torch.tensor([0.6, 0.3, 0.1])
    members = [Given(*first.log().tolist()), Given(*(second.log() + 3).tolist())]
    found = Ensemble(members, softmax=True)(torch.zeros(2, 1, 1, 1)).softmax(1)
    torch.testing.assert_close(found[1].flatten(), torch.tensor([0.4, 0.3, 0.3]))


@pytest.mark.parametrize("classes", [(), ("core", "oedema")])
def test_an_ensemble_of_a_model_gives_the_mean_map_of_its_members(classes):
    outputs = len(classes) + 1 if classes else 1
    one = Model("m", {**NET, "n_outputs": outputs}, {**TASK, "classes": list(classes)})
    three = Model(one.name, one.net, one.task, members=3)
    torch.manual_seed(0)
    tasks = [one.build().eval() for _ in range(3)]
    joined = three.build(for_training=False).eval()
    joined.load_state_dict(join_weights([task.state_dict() for task in tasks]))
    image = torch.rand(2, 20, 24)
    with torch.inference_mode():
        maps = torch.stack([task.predict_maps(image) for task in tasks])
        torch.testing.assert_close(joined.predict_maps(image), maps.mean(0))
    assert maps.std(0).max() > 0
    assert joined.threshold == 0.4
    assert (one.title, three.title) == ("m", "m x3")
    assert three.decisive() == {**one.decisive(), "members": 3}
    assert set(one.decisive()) == {"net", "task"}


def test_what_is_no_network_is_taken_once():
    joined = join_weights(
        [{"net.a": torch.zeros(1), "scale": torch.ones(1)}, {"net.a": torch.ones(1), "scale": torch.zeros(1)}]
    )
    assert list(joined) == ["net.members.0.a", "net.members.1.a", "scale"]
    assert [value.item() for value in joined.values()] == [0, 1, 1]


@pytest.mark.parametrize(
    ("name", "task", "members", "message"),
    [
        (
            "faster_rcnn",
            "faster_rcnn.task.DetectionTask",
            2,
            r"members=2 with model\.name=faster_rcnn, which has no maps of",
        ),
        ("threshold", "threshold.task.ThresholdTask", 3, "members=3 with model.name=threshold, which has no maps"),
        ("m", "segmentation.SegmentationTask", 0, r"model\.members=0; expected a whole number of at least 1"),
        ("m", "segmentation.SegmentationTask", 1.5, r"model\.members=1\.5; expected a whole number"),
    ],
)
def test_members_that_cannot_be_are_refused(name, task, members, message):
    with pytest.raises(InputError, match=message):
        Model(name, NET, {"_target_": f"rbc_lightning.segmenters.{task}"}, members)
