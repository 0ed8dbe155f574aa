"""Models from the configuration: every file of conf/model, facts of the data, parts from outside, what is refused."""

import pickle
from dataclasses import dataclass, field, replace
from functools import partial
from multiprocessing.reduction import ForkingPickler

import numpy as np
import pytest
import torch
from omegaconf import OmegaConf
from slice_samples import slice_spec
from tiny_data import disc_smear
from torch import nn

from rbc_lightning.data.spec import ImageSpec
from rbc_lightning.errors import InputError
from rbc_lightning.segmenters.dcan.task import ContourTask
from rbc_lightning.segmenters.model import Model, TrainingSettings
from rbc_lightning.segmenters.optimizers import AdamW, OneCycle
from rbc_lightning.usage import CONF_DIR

MODELS = sorted(path.stem for path in CONF_DIR.glob("model/*.yaml") if "threshold" not in path.stem)
NET = {"_target_": "plugins.segmenter.ThreeConvolutions", "in_channels": None}
TASK = {"_target_": "rbc_lightning.segmenters.segmentation.SegmentationTask", "cell_size": None, "objects": None}


@dataclass
class Smears:
    """Two images of discs, and how often their label maps were read."""

    spec: ImageSpec = field(default_factory=ImageSpec)
    count: int = 9
    reads: int = 0

    def label_maps(self):
        self.reads += 1
        return [disc_smear(seed, count=self.count + seed)[1] for seed in range(2)]


def configured(name, scale="tiny"):
    """A file of conf/model as it is composed with a scale."""
    node = OmegaConf.load(CONF_DIR / "model" / f"{name}.yaml")
    for base in node.pop("defaults", []):
        node = OmegaConf.merge(OmegaConf.load(CONF_DIR / "model" / f"{base}.yaml"), node)
    whole = OmegaConf.to_container(OmegaConf.create({"model": node, "scale": {"name": scale}}), resolve=True)["model"]
    whole.pop("sizes", None)
    return Model(**whole)


@pytest.mark.parametrize("name", MODELS)
def test_every_model_takes_channels_sizes_and_objects_from_the_data(name):
    data = Smears(ImageSpec(channels=("nuclei", "membranes"), value_range=(0, 65535), objects="bright"))
    model = configured(name)
    facts = model.facts(data)
    areas = np.concatenate([np.bincount(label_map.ravel())[1:] for label_map in data.label_maps()])
    measured = {"cell_size": round(float(np.mean(2 * np.sqrt(areas / np.pi))), 2), "in_channels": 2, "objects": "bright"}
    assert facts == measured | ({"max_cells": 10, "largest_box": 22} if name == "faster_rcnn" else {})
    filled = model.with_facts(facts)
    assert not any(value is None for key, value in {**filled.net, **filled.task}.items() if key in facts)
    task = filled.build()
    assert task.objects == "bright"
    assert (task.net.in_channels, sum(p.shape[1:2] == (2,) for p in task.net.parameters() if p.ndim == 4)) == (2, 1)
    assert len(task.eval().predict_instances(torch.zeros(2, 64, 64)).boxes) >= 0
    if name == "wmh_unet":
        assert (type(task.configure_optimizers()), task.schedule) == (torch.optim.Adam, None)
    else:
        assert (type(task.optimizer), task.schedule) == (AdamW, OneCycle())
    # As the processes of a distributed training are given it.
    assert type(pickle.loads(ForkingPickler.dumps(task))) is type(task)


@pytest.mark.parametrize("scale", ["demo", "paper", "tiny"])
@pytest.mark.parametrize("name", ["fcn8s", "dcan", "faster_rcnn"])
def test_every_scale_has_its_sizes(name, scale):
    model = configured(name, scale)
    widths = {"demo": (0.25, 16, 5e-3), "paper": (1.0, None, 1e-3), "tiny": (0.0625, 4, 5e-3)}
    if name == "faster_rcnn":
        assert model.net["proposals"] == {"demo": 300, "paper": 2000, "tiny": 50}[scale]
        assert model.task["optimizer"]["lr"] == 1e-3
    else:
        found = (model.net["width"], model.net["decoder_channels"], model.task["optimizer"]["lr"])
        assert found == widths[scale]


def test_the_contour_of_the_configured_models_is_learnt_by_cross_entropy():
    for name in ("dcan", "unet_contour"):
        task = configured(name).with_facts({"cell_size": 20.0, "in_channels": 3, "objects": "dark"}).build()
        assert type(task) is ContourTask
        assert isinstance(task.contour_loss, nn.BCEWithLogitsLoss)


def test_a_model_says_whether_it_learns():
    untrained = {"threshold", "global_threshold"}
    assert {name for name in (*MODELS, *untrained) if not configured(name).learns} == untrained
    assert Model("m", NET, {"_target_": "torch.nn.Identity"}).learns


def test_the_threshold_takes_sizes_and_objects_from_the_data():
    data = Smears(ImageSpec(channels=("nuclei", "membranes"), value_range=(0, 65535), objects="bright"))
    model = configured("threshold")
    facts = model.facts(data)
    task = model.with_facts(facts).build()
    assert (set(facts), task.objects, task.background_sigma) == ({"cell_size", "objects"}, "bright", facts["cell_size"])
    assert not list(task.parameters())


def test_label_maps_are_read_once_and_only_where_a_size_is_asked_for():
    data = Smears()
    assert Model("m", NET, {**TASK, "cell_size": 20.0}).facts(data) == {"in_channels": 3, "objects": "dark"}
    assert data.reads == 0
    model = Model("m", {**NET, "cell_size": None, "max_cells": None}, TASK)
    assert set(model.facts(data)) == {"in_channels", "cell_size", "max_cells", "objects"}
    assert data.reads == 1
    filled = model.with_facts({"cell_size": 20.0, "objects": "dark", "unknown": 1})
    assert filled.net["cell_size"] == filled.task["cell_size"] == 20.0
    assert (filled.net["max_cells"], "unknown" in filled.net) == (None, False)
    # What is set is kept.
    assert Model("m", NET, {**TASK, "cell_size": 5.0}).with_facts({"cell_size": 20.0}).task["cell_size"] == 5.0


def test_a_size_that_cannot_be_measured_can_be_set():
    empty = Smears()
    empty.label_maps = lambda: [np.zeros((20, 20), dtype=np.int32)]
    with pytest.raises(InputError, match=r"no cell off the border.*check labels/, or set model\.task\.cell_size=<pixels>"):
        Model("m", NET, TASK).facts(empty)


def outside(**task):
    facts = {"in_channels": 2, "cell_size": 20.0, "objects": "dark"}
    return Model("m", NET, {**TASK, **task}).with_facts(facts)


def test_parts_from_outside_the_package_are_built():
    task = outside(
        loss={"_target_": "plugins.loss.Tversky", "false_alarms": 0.3},
        optimizer={"_target_": "plugins.optimiser.SignDescent", "_partial_": True, "lr": 0.01},
        schedule={"_target_": "torch.optim.lr_scheduler.CosineAnnealingLR", "_partial_": True, "eta_min": 0.001},
        metrics={"area_error": {"_target_": "plugins.metric.area_error"}},
    ).build()
    assert task.loss.false_alarms == 0.3
    optimizer = task.optimizer(list(task.net.parameters()))
    assert (type(optimizer).__name__, optimizer.defaults["lr"]) == ("SignDescent", 0.01)
    assert task.schedule(optimizer, 40).T_max == 40
    assert task.metrics["area_error"].title == "Error of the area"
    logits = task(torch.rand(1, 2, 16, 16))
    assert task.total_loss(logits, torch.zeros(1, 16, 16, dtype=torch.int64)).ndim == 0


def test_an_optimiser_of_torch_is_named_in_the_configuration():
    spec = {"_target_": "torch.optim.SGD", "_partial_": True, "lr": 0.1, "momentum": 0.9}
    task = outside(optimizer=spec, schedule=None).build()
    assert isinstance(task.optimizer, partial)
    assert isinstance(task.configure_optimizers(), torch.optim.SGD)
    assert task.configure_optimizers().defaults["momentum"] == 0.9


@pytest.mark.parametrize(
    ("task", "message"),
    [
        ({"thresh": 0.5}, r"model\.task\.thresh=0\.5 is no setting of SegmentationTask; it has loss, optimizer"),
        (
            {"threshold": 2},
            r"model\.task: threshold must lie strictly between 0 and 1 or be None, got 2.*check the settings model\.task\.\*",
        ),
        ({"optimizer": {"_target_": "torch.optim.SGD", "lr": 0.1}}, r"model\.task: .*params"),
        (
            {"optimizer": {"_target_": "torch.optim.SGD", "_partial_": True, "rate": 1}},
            r"model\.task: optimizer must be .*rate",
        ),
        (
            {"optimizer": {"_target_": "rbc_lightning.segmenters.optimizers.AdamW", "learning_rate": 0.1}},
            r"model\.task: .*unexpected keyword argument 'learning_rate'",
        ),
        (
            {"loss": {"_target_": "plugins.loss.Tversky", "false_alarms": 7}},
            r"model\.task: false_alarms must lie in \[0, 1\], got 7",
        ),
        ({"loss": {"_target_": "plugins.loss.Nothing"}}, r"model\.task: .*plugins\.loss\.Nothing"),
        ({"metrics": {"mine": {"_target_": "plugins.metric.area_error"}}}, r"metrics\.mine gives a metric named 'area_error'"),
        ({"_target_": "torch.nn.Identity"}, r"model\.task builds a Identity; expected a .*BaseTask"),
    ],
)
def test_what_cannot_be_built_is_one_line(task, message):
    with pytest.raises(InputError, match=message) as caught:
        outside(**task).build()
    assert "\n" not in str(caught.value)


def test_pretrained_weights_are_asked_for_in_training_only(tmp_path):
    net = {
        "_target_": "rbc_lightning.segmenters.faster_rcnn.nets.FasterRCNN",
        "cell_size": 20,
        "max_cells": 5,
        "fpn_channels": 8,
        "head_channels": 8,
        "norm": "frozen",
        "weights": str(tmp_path / "gone.pth"),
    }
    model = Model("m", net, {"_target_": "rbc_lightning.segmenters.faster_rcnn.task.DetectionTask"})
    with pytest.raises(InputError, match=r"model\.net: .*no file .*gone\.pth"):
        model.build()
    model.build(for_training=False)
    bare = Model("m", {**net, "weights": None}, model.task)
    with pytest.raises(InputError, match=r"model\.net: norm 'frozen' without weights normalises nothing"):
        bare.build()


def test_the_key_follows_both_specs_and_the_content_of_weights_but_not_the_name(tmp_path):
    path = tmp_path / "weights.pth"
    path.write_bytes(b"first")
    model = Model("m", {**NET, "weights": str(path)}, TASK)
    first = model.decisive()
    assert Model("other", model.net, model.task).decisive() == first
    assert Model("m", {**model.net, "width": 4}, TASK).decisive() != first
    path.write_bytes(b"second")
    assert model.decisive() != first
    moved = Model("m", {**NET, "weights": str(path.rename(tmp_path / "moved.pth"))}, TASK)
    path.write_bytes(b"second")
    assert moved.decisive() == model.decisive()
    # By name they stay a name.
    assert Model("m", {**NET, "weights": "imagenet"}, TASK).decisive()["net"]["weights"] == "imagenet"


def test_a_name_that_would_hide_its_runs_is_refused():
    with pytest.raises(InputError, match=r"model\.name=lab/unet; expected letters"):
        Model("lab/unet", NET, TASK)


@pytest.mark.parametrize(("classes", "outputs"), [(("lesion",), 1), (("core", "oedema", "rim"), 4)])
@pytest.mark.parametrize("name", ["fcn8s", "unet", "unet_novoselov", "wmh_unet"])
def test_models_take_classes_outputs_and_the_standard_from_the_data(name, classes, outputs):
    data = Smears(slice_spec(*classes))
    model = configured(name)
    facts = model.facts(data)
    assert facts["cell_size"] is None
    assert data.reads == 0
    task = model.with_facts(facts).build().eval()
    assert (task.n_classes, tuple(task.standard), task.min_area) == (len(classes), (0.4, 0.1), 0)
    with torch.inference_mode():
        assert task(torch.rand(2, 2, 64, 64)).shape == (2, outputs, 64, 64)
    assert len(task.predict_instances(torch.rand(2, 64, 64)).boxes) >= 0
    assert f"dice_{classes[-1]}" in task.metrics
    assert task.total_loss(torch.rand(2, 4, 8, 8)[:, :outputs], torch.ones(2, 8, 8, dtype=torch.int64)).isfinite()


@pytest.mark.parametrize("name", ["dcan", "unet_contour", "faster_rcnn", "threshold"])
def test_a_model_that_finds_cells_refuses_classes(name):
    with pytest.raises(InputError, match=f"model.name={name} finds cells, the data set has classes of pixels \\(lesion\\)"):
        configured(name).facts(Smears(slice_spec()))


def test_outputs_left_to_the_data_are_one_of_cells_and_keep_the_keys_of_one():
    for name, argument in (("fcn8s", "n_classes"), ("unet", "n_outputs")):
        model = configured(name)
        one = Model(name, {**model.net, argument: 1}, model.task)
        assert model.net[argument] is None
        assert model.decisive() == one.decisive()
        assert model.with_facts({}).net[argument] == 1
        assert Model(name, {**model.net, argument: 3}, model.task).with_facts({argument: 4}).net[argument] == 3
    # What only other data have is no fact of smears.
    assert not {"classes", "standard", "n_classes"} & set(configured("fcn8s").facts(Smears()))


def test_what_suits_slices_enters_keys_where_it_is_used_and_is_checked():
    plain = TrainingSettings(steps=4, steps_per_epoch=2, batch_size=1, crop=64)
    assert not {"focus", "choose_after"} & set(plain.decisive())
    with pytest.raises(InputError, match=r"training\.choose_after=1; expected a share of the steps from 0 to below 1"):
        replace(plain, choose_after=1)
    assert replace(plain, focus=0.5).decisive()["focus"] == 0.5
    for settings, message in (
        ({"focus": 2}, r"training\.focus=2; expected a share"),
        ({"focus": 0.5, "crop": None}, "set one"),
    ):
        with pytest.raises(InputError, match=message):
            replace(plain, **settings)
