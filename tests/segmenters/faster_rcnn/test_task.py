"""Detection task: its targets, what it logs, tiles, learning one image by heart, reloading."""

import numpy as np
import pytest
import pytorch_lightning as pl
import torch
from scipy import ndimage
from tiny_data import disc_smear
from torch import nn
from torch.utils.data import DataLoader
from torchvision.models import resnet18

from rbc_lightning.core.labels import label_map_to_boxes
from rbc_lightning.errors import InputError
from rbc_lightning.metrics.average_precision import average_precision
from rbc_lightning.segmenters.faster_rcnn.nets import FasterRCNN
from rbc_lightning.segmenters.faster_rcnn.task import DetectionTask
from rbc_lightning.segmenters.optimizers import AdamW

TINY = {"fpn_channels": 32, "head_channels": 64, "proposals": 50, "rpn_samples": 64, "roi_samples": 32} | {
    "nms_threshold": 0.2  # the discs lie apart: which second box of one scores above 0.5 is a matter of rounding
}


class FindsDarkPatches(nn.Module):
    """Stands in for a trained detector: the box of every patch below the image's mean, and losses that tell the targets."""

    cell_size, nms_threshold = 12.0, 0.5

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(1))
        self.seen = []

    def forward(self, images, targets=None):
        self.seen += [tuple(image.shape) for image in images]
        if targets is not None:
            area = sum((target["boxes"][:, 2:] - target["boxes"][:, :2]).prod(dim=1).sum() for target in targets)
            count = sum(len(target["boxes"]) for target in targets)
            return {"loss_area": self.weight[0] * area, "loss_count": self.weight[0] * count}
        found = []
        for image in images:
            labels, count = ndimage.label(image[0].numpy() < 0)
            boxes = torch.from_numpy(label_map_to_boxes(labels.astype(np.int32)))
            found.append({"boxes": boxes, "scores": torch.linspace(0.9, 0.6, count)})
        return found


def batch_of(*seeds, copies=1, **arguments):
    smears = [disc_smear(seed, **arguments) for seed in seeds] * copies
    return {
        "image": torch.stack([torch.from_numpy(image).permute(2, 0, 1).float() / 255 for image, _ in smears]),
        "label_map": torch.stack([torch.from_numpy(label_map).long() for _, label_map in smears]),
        "sample_id": [f"smear_{seed}" for seed in seeds] * copies,
        "origin": ["real"] * len(smears),
    }


def trainer(**arguments):
    quiet = {"logger": False, "enable_progress_bar": False, "enable_model_summary": False}
    return pl.Trainer(accelerator="cpu", enable_checkpointing=False, **quiet, **arguments)


def fields(*rows):
    """An image, dark where the rows have digits, and the label map of these digits."""
    label_map = torch.tensor([[0 if pixel == "." else int(pixel) for pixel in row] for row in rows])
    image = 0.9 - 0.5 * (label_map > 0).float()[None, None].repeat(1, 3, 1, 1)
    return {"image": image, "label_map": label_map[None], "sample_id": ["a"], "origin": ["real"]}


def test_targets_are_the_boxes_of_the_cells_without_remnants():
    batch = fields("111....2", "111....2", "111.....", "....33..")
    for min_visible, expected in ((1, 3 * 3 + 1 * 2 + 2 * 1 + 3), (2, 9 + 1), (3, 9 + 1), (4, 0), (0, 16)):
        task = DetectionTask(FindsDarkPatches(), min_visible=min_visible)
        assert task.training_step(batch).item() == expected


def test_the_loss_is_the_sum_of_its_parts_which_are_logged():
    run = trainer(max_steps=1)
    run.fit(DetectionTask(FindsDarkPatches(), min_visible=1), DataLoader([fields("11.", "11.", "..2")], batch_size=None))
    logged = {name: value.item() for name, value in run.callback_metrics.items() if name.startswith("train/")}
    assert logged == {"train/loss": 7, "train/loss_area": 5, "train/loss_count": 2}


def test_what_is_logged_agrees_with_average_precision_by_hand():
    # Two of three cells are found, one box covers a gap in two.
    found = fields("11..22..", "11..22..", "........", "3333....")
    found["label_map"] = fields("11..22..", "11..22..", "........", "3......4")["label_map"]
    loader = DataLoader([found], batch_size=None)
    task, run = DetectionTask(FindsDarkPatches()), trainer()
    (scores,) = run.test(task, loader, verbose=False)
    # Hits, in order of score: yes, yes, no; four cells: precision 1 up to recall 1/2.
    assert scores["test/ap50"] == pytest.approx(0.5)
    assert scores["test/ap50_11_point"] == pytest.approx(6 / 11)
    assert scores["test/count_error"] == pytest.approx(1 / 4)
    (row,) = task.per_image
    assert (row["sample_id"], row["n_true"], row["n_found"]) == ("a", 4, 3)
    assert row["ap50"] == pytest.approx(0.5)
    (validated,) = run.validate(task, loader, verbose=False)
    assert validated == pytest.approx({"val/ap50": 0.5})
    assert (task.monitor, task.mode) == ("val/ap50", "max")


def test_an_image_without_cells_trains_and_tests():
    empty = {**fields("....", "....", "...."), "image": torch.full((1, 3, 3, 4), 0.5)}
    task = DetectionTask(FindsDarkPatches())
    assert task.training_step(empty).item() == 0
    scores = trainer().test(task, DataLoader([fields("11..", "11.."), empty], batch_size=None), verbose=False)[0]
    assert scores["test/ap50"] == 1
    assert task.per_image[1]["n_found"] == 0


@pytest.mark.parametrize("tile", [40, 64, 100])
def test_tiles_find_what_the_whole_image_shows_each_cell_once(tile):
    torch.manual_seed(0)
    image, label_map = disc_smear(1, height=130, width=170, radius=6, count=60)
    tensor = torch.from_numpy(image).permute(2, 0, 1).float() / 255
    tensor[:, torch.from_numpy(label_map > 0)] = 0.5
    # Empty ground on the right: by its own mean, half of a tile there would be dark.
    tensor = torch.cat((tensor, tensor[:, :1, :1] + 0.01 * torch.randn(3, 130, 110)), dim=-1)
    net = FindsDarkPatches()
    whole = DetectionTask(net).eval().predict_instances(tensor)
    assert net.seen == [(3, 130, 280)]
    cut = DetectionTask(net, tile=tile).eval().predict_instances(tensor)
    assert {max(shape[1:]) for shape in net.seen[1:]} == {tile}
    assert len(cut) == len(whole) == 60
    assert sorted(map(tuple, cut.boxes)) == sorted(map(tuple, whole.boxes)) == sorted(map(tuple, label_map_to_boxes(label_map)))
    assert (np.diff(cut.scores) <= 0).all()
    assert cut.label_map is None


def test_the_net_in_training_mode_is_not_asked():
    with pytest.raises(ValueError, match=r"in training mode; call eval\(\) before predict_instances"):
        DetectionTask(FindsDarkPatches()).train().predict_instances(torch.rand(3, 8, 8))


def learn(steps, learning_rate):
    """A detector after so many steps on two copies of one image, in bf16, and the run."""
    batch = batch_of(0, copies=2, height=64, width=96, count=5)
    pl.seed_everything(0)
    task = DetectionTask(FasterRCNN(23, 5, **TINY), optimizer=AdamW(learning_rate))
    run = trainer(max_steps=steps, precision="bf16-mixed")
    run.fit(task, DataLoader([batch] * steps, batch_size=None))
    return task, run


@pytest.fixture(scope="module")
def learnt():
    return learn(steps=60, learning_rate=1e-3)


def test_learns_an_image_by_heart(learnt):
    task, run = learnt
    floors = {"loss_classifier": 0.2, "loss_box_reg": 0.3, "loss_objectness": 0.02, "loss_rpn_box_reg": 0.005}
    logged = run.callback_metrics
    assert {name: logged[f"train/{name}"].item() < floor for name, floor in floors.items()} == dict.fromkeys(floors, True)
    assert logged["train/loss"].dtype == torch.float32
    (scores,) = run.test(task, DataLoader([batch_of(0, height=64, width=96, count=5)], batch_size=None), verbose=False)
    assert min(scores["test/ap50"], scores["test/ap50_11_point"]) >= 0.98
    assert scores["test/count_error"] == 0


@pytest.mark.slow
def test_learns_an_image_by_heart_to_the_pixel():
    # After 150 steps the arithmetic of a processor still decides whether a box is off by a pixel or two.
    task, run = learn(steps=250, learning_rate=2e-3)
    # Of one step, whose regions are drawn at random: their boxes cost 0.19 where every cell is found to the pixel.
    floors = {"loss_classifier": 0.05, "loss_box_reg": 0.3, "loss_objectness": 0.005, "loss_rpn_box_reg": 0.001}
    logged = run.callback_metrics
    assert {name: logged[f"train/{name}"].item() < floor for name, floor in floors.items()} == dict.fromkeys(floors, True)
    (scores,) = run.test(task, DataLoader([batch_of(0, height=64, width=96, count=5)], batch_size=None), verbose=False)
    assert min(scores["test/ap50"], scores["test/ap50_11_point"], scores["test/ap"]) >= 0.98
    assert scores["test/count_error"] == 0


def test_reloaded_weights_test_the_same(learnt):
    task, run = learnt
    loader = DataLoader([batch_of(0, 7, height=64, width=96, count=5)], batch_size=None)
    trained = run.test(task, loader, verbose=False)[0]
    reloaded = DetectionTask(FasterRCNN(23, 5, **TINY))
    reloaded.load_state_dict(task.state_dict())
    again = trainer(precision="bf16-mixed").test(reloaded, loader, verbose=False)[0]
    assert again == pytest.approx(trained, abs=1e-6)


def test_real_tiles_agree_with_the_whole_image(learnt):
    task, _ = learnt
    batch = batch_of(0, height=64, width=96, count=5)
    mosaic = {name: torch.cat([torch.cat([batch[name]] * 2, dim=-1)] * 2, dim=-2) for name in ("image", "label_map")}
    boxes = label_map_to_boxes(ndimage.label(mosaic["label_map"][0].numpy() > 0)[0].astype(np.int32))
    task.eval()
    for tile in (None, 100):
        task.tile = tile
        found = task.predict_instances(mosaic["image"][0])
        assert average_precision([found.as_detections()], [{"boxes": boxes}]) > 0.98
        assert (found.scores > 0.5).sum() == len(boxes) == 20


def test_same_seed_same_weights_and_other_seed_others():
    batch = batch_of(0, 1, height=64, width=64, count=3)

    def weights(seed):
        pl.seed_everything(seed)
        task = DetectionTask(FasterRCNN(23, 5, **TINY))
        trainer(max_steps=2).fit(task, DataLoader([batch] * 2, batch_size=None))
        return torch.cat([parameter.flatten() for parameter in task.parameters()])

    first = weights(0)
    assert torch.equal(first, weights(0))
    assert not torch.equal(first, weights(1))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"min_visible": -1}, "min_visible must not be negative, got -1"),
        ({"score_threshold": 1.0}, "score_threshold must lie strictly between 0 and 1, got 1.0"),
        ({"overlap": 23}, "overlap must be at least 24 px, two cells or more .*, lest a cell be whole in no tile; got 23"),
        ({"overlap": 100, "largest_box": 100}, "overlap must be at least 114 px, .*; got 100"),
        ({"largest_box": 0}, "largest_box must be a positive number of pixels or None, got 0"),
        ({"tile": 24}, "tile must be larger than the overlap of 24 px, got 24"),
    ],
)
def test_bad_arguments_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        DetectionTask(FindsDarkPatches(), **arguments)


@pytest.mark.parametrize(
    ("tile", "message"),
    [
        ("large", "predict.tile=large; expected 301 pixels or more"),
        (300, "predict.tile=300; expected 301 pixels or more \\(tiles overlap\\), or null: no tiles"),
    ],
)
def test_tiles_that_are_too_small_are_refused(tile, message):
    task = DetectionTask(FindsDarkPatches(), overlap=300)
    with pytest.raises(InputError, match=message):
        task.set_tile(tile)
    task.set_tile(301)
    assert task.tile == 301
    task.set_tile(None)
    assert task.tile is None


def test_frozen_norms_are_trained_with_weights_only(tmp_path):
    """Yet they can be built without, to load a checkpoint into."""
    frozen = DetectionTask(FasterRCNN(23, 5, norm="frozen", **TINY))
    with pytest.raises(
        ValueError, match="norm 'frozen' without weights normalises nothing; name weights, or take norm 'batch'"
    ):
        frozen.net.check_trainable()
    torch.save(resnet18().state_dict(), tmp_path / "trunk.pth")
    DetectionTask(FasterRCNN(23, 5, norm="frozen", weights=str(tmp_path / "trunk.pth"), **TINY)).net.check_trainable()
    DetectionTask(FasterRCNN(23, 5, **TINY)).net.check_trainable()


@pytest.mark.gpu
def test_trains_on_a_gpu():
    task = DetectionTask(FasterRCNN(23, 9, **TINY))
    run = pl.Trainer(accelerator="gpu", devices=1, precision="bf16-mixed", max_steps=60, logger=False)
    run.fit(task, DataLoader([batch_of(0, copies=2)] * 60, batch_size=None), DataLoader([batch_of(0)], batch_size=None))
    assert run.callback_metrics["val/ap50"] > 0.98
