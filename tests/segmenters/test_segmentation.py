"""Segmentation task: what it logs, by hand; precision; learning one image by heart."""

from collections.abc import Iterator

import pytest
import pytorch_lightning as pl
import torch
from torch import nn
from torch.utils.data import DataLoader

from rbc_lightning.segmenters.fcn8s.nets import FCN8s
from rbc_lightning.segmenters.illumination import standardize
from rbc_lightning.segmenters.losses import SoftDice
from rbc_lightning.segmenters.optimizers import AdamW
from rbc_lightning.segmenters.segmentation import SegmentationTask

LONG = 120  # steps: after half as many a score that must be 0.98 depended on the processor's rounding


class RedMeansCell(nn.Module):
    """One trainable scale; foreground where the first channel is above the image's mean."""

    def __init__(self, out_channels: int = 1) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.tensor([4.0]))
        self.out_channels = out_channels

    def forward(self, image):
        return self.scale * image[:, :1].expand(-1, self.out_channels, -1, -1)


def sample(sample_id: str, rows: str, label_rows: str) -> dict[str, object]:
    red = torch.tensor([[float(pixel == "#") for pixel in row] for row in rows.split()])
    labels = torch.tensor([[int(pixel) for pixel in row] for row in label_rows.split()])
    image = torch.stack([red, torch.zeros_like(red), torch.zeros_like(red)])
    return {"image": image, "label_map": labels, "sample_id": sample_id, "origin": "real"}


# Pixels in both, predicted, true: (2, 3, 4), then (2, 2, 2).
SAMPLES = [sample("a", "##.. .#.. ....", "0110 0200 3000"), sample("b", ".... .#.. .#..", "0000 0500 0500")]


@pytest.fixture
def discs() -> dict[str, object]:
    """Two images of dark discs on a bright ground, 64 x 64."""
    generator = torch.Generator().manual_seed(0)
    rows, columns = torch.meshgrid(torch.arange(64), torch.arange(64), indexing="ij")
    labels = torch.zeros(2, 64, 64, dtype=torch.int64)
    for image in range(2):
        for cell, (row, column) in enumerate([(16, 18 + 4 * image), (44, 40)], start=1):
            labels[image][(rows - row) ** 2 + (columns - column) ** 2 < 121] = cell
    image = 0.9 - 0.4 * (labels > 0).float()[:, None] + 0.02 * torch.randn(2, 3, 64, 64, generator=generator)
    return {"image": image.clamp(0, 1), "label_map": labels, "sample_id": ["0", "1"], "origin": ["real", "real"]}


def trainer(**arguments) -> pl.Trainer:
    quiet = {"logger": False, "enable_progress_bar": False, "enable_model_summary": False}
    return pl.Trainer(accelerator="cpu", enable_checkpointing=False, **quiet, **arguments)


def steps(batch, count) -> Iterator[dict[str, object]]:
    return DataLoader([batch] * count, batch_size=None)


def fcn(**arguments) -> FCN8s:
    torch.manual_seed(0)
    return FCN8s(width=1 / 16, fc_channels=32, **{"dropout": 0.0, **arguments})


@pytest.mark.parametrize("batch_size", [1, 2])
def test_test_scores_and_rows_by_hand(batch_size):
    task, run = SegmentationTask(RedMeansCell()), trainer()
    for _ in range(2):  # a second test starts afresh
        (scores,) = run.test(task, DataLoader(SAMPLES, batch_size=batch_size), verbose=False)
        assert scores["test/dice"] == pytest.approx((4 / 7 + 1) / 2)
        assert scores["test/iou"] == pytest.approx((2 / 5 + 1) / 2)
        assert scores["test/dice_pooled"] == pytest.approx(8 / 11)
        assert [row["sample_id"] for row in task.per_image] == ["a", "b"]
        first = task.per_image[0]
        assert (first["sample_id"], first["dice"], first["iou"]) == ("a", pytest.approx(4 / 7), pytest.approx(2 / 5))
        # One patch of three pixels found where there are three cells.
        assert (first["n_true"], first["n_found"], first["count_error"]) == (3, 1, pytest.approx(2 / 3))
        assert scores["test/count_error"] == pytest.approx(1 / 3)


def test_validation_logs_the_mean_dice_over_images_and_the_loss():
    task = SegmentationTask(RedMeansCell())
    (scores,) = trainer().validate(task, DataLoader(SAMPLES, batch_size=2), verbose=False)
    assert scores["val/dice"] == pytest.approx((4 / 7 + 1) / 2)
    losses = [SoftDice()(4 * standardize(s["image"][None])[:, 0], (s["label_map"] > 0)[None]).item() for s in SAMPLES]
    assert scores["val/loss"] == pytest.approx(sum(losses) / 2)
    assert (task.monitor, task.mode) == ("val/dice", "max")


def test_threshold_is_on_the_probability():
    (item,) = [{**SAMPLES[1], "image": SAMPLES[1]["image"][None], "label_map": SAMPLES[1]["label_map"][None]}]
    # Two of twelve pixels are red: standardised sqrt(5), times the scale 0.25 gives p = 0.636.
    net = RedMeansCell()
    nn.init.constant_(net.scale, 0.25)
    for threshold, expected in ((0.6, 1.0), (0.7, 0.0)):
        task = SegmentationTask(net, threshold=threshold)
        task.on_test_epoch_start()
        task.test_step({**item, "sample_id": ["b"]})
        assert task.per_image[0]["dice"] == expected


def test_the_loss_that_is_given_is_minimised_and_logged():
    """Mean absolute error of the probability, of logits and a target of 0 and 1."""

    def error(logits, target):
        assert logits.shape == target.shape
        assert set(target.unique().tolist()) <= {0.0, 1.0}
        return (logits.sigmoid() - target).abs().mean()

    task, loader = SegmentationTask(RedMeansCell(), loss=error), DataLoader(SAMPLES, batch_size=2)
    (before,) = trainer().validate(task, loader, verbose=False)
    batch = next(iter(loader))
    whole = error(task(batch["image"])[:, 0], (batch["label_map"] > 0).float())
    assert before["val/loss"] == pytest.approx(whole.item())
    trainer(max_steps=5).fit(task, DataLoader(SAMPLES * 5, batch_size=2))
    assert trainer().validate(task, loader, verbose=False)[0]["val/loss"] < before["val/loss"]


def test_prediction_is_a_probability_for_each_pixel():
    batch = next(iter(DataLoader(SAMPLES, batch_size=2)))
    probability = SegmentationTask(RedMeansCell()).predict_step(batch)
    assert probability.shape == (2, 3, 4)
    assert probability.dtype == torch.float32
    expected = torch.sigmoid(torch.tensor(4 * 5**0.5))
    assert torch.allclose(probability[1, 1, 1], expected)


def test_learns_two_images_by_heart_in_bf16(discs):
    pl.seed_everything(0)
    task = SegmentationTask(fcn(), optimizer=AdamW(5e-3))
    run = trainer(max_steps=LONG, precision="bf16-mixed")
    run.fit(task, steps(discs, LONG), steps(discs, 1))
    assert run.callback_metrics["train/loss"] < 0.05
    assert run.callback_metrics["train/loss"].dtype == torch.float32
    assert run.callback_metrics["val/dice"] > 0.98
    trained = run.test(task, steps(discs, 1), verbose=False)[0]
    assert trained["test/count_error"] == 0
    for name in ("test/dice", "test/dice_pooled", "test/ap50", "test/ap50_11_point"):
        assert trained[name] >= 0.98, name
    assert trained["test/ap"] >= 0.9
    reloaded = SegmentationTask(fcn())
    reloaded.load_state_dict(task.state_dict())
    again = trainer(precision="bf16-mixed").test(reloaded, steps(discs, 1), verbose=False)[0]
    assert again == pytest.approx(trained, abs=1e-6)


def test_same_seed_same_weights_and_other_seed_others(discs):
    def weights(seed):
        pl.seed_everything(seed)
        task = SegmentationTask(FCN8s(width=1 / 32, fc_channels=8))
        trainer(max_steps=2).fit(task, steps(discs, 2))
        return torch.cat([parameter.flatten() for parameter in task.parameters()])

    first = weights(0)
    assert torch.equal(first, weights(0))
    assert not torch.equal(first, weights(1))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"loss": "dice"}, "loss must be a function of logits and target, got 'dice': name one by _target_"),
        ({"threshold": 1.0}, "threshold must lie strictly between 0 and 1 or be None, got 1.0"),
        ({"cell_size": 0.0}, "cell_size must be a positive diameter in pixels or None, got 0.0"),
    ],
)
def test_bad_arguments_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        SegmentationTask(RedMeansCell(), **arguments)


def test_a_network_with_two_outputs_is_refused():
    with pytest.raises(ValueError, match="network with 1 output channel, this one has 2"):
        SegmentationTask(RedMeansCell(out_channels=2))(torch.rand(1, 3, 4, 4))


@pytest.mark.gpu
def test_trains_on_a_gpu(discs):
    task = SegmentationTask(fcn(), optimizer=AdamW(5e-3))
    run = pl.Trainer(accelerator="gpu", devices=1, precision="bf16-mixed", max_steps=60, logger=False)
    run.fit(task, steps(discs, 60), steps(discs, 1))
    assert run.callback_metrics["val/dice"] > 0.97


def test_an_image_in_tiles_is_predicted_as_in_one_piece():
    """The network sees 3 x 3 pixels, so that nothing but a seam could make a difference."""
    torch.manual_seed(0)
    net = nn.Conv2d(3, 1, 3, padding=1)
    image = torch.rand(3, 300, 700)
    whole, tiled = (SegmentationTask(net, tile=tile).predict_maps(image) for tile in (None, 256))
    assert torch.allclose(whole, tiled, atol=1e-6)
    with pytest.raises(ValueError, match="tile must be at least 256 pixels or None, got 100"):
        SegmentationTask(net, tile=100)


def test_specks_are_no_cells_once_the_cell_size_is_known():
    maps = torch.zeros(1, 40, 40)
    maps[0, 5:25, 5:25] = 0.9
    maps[0, 30:32, 30:32] = 0.9
    found = [SegmentationTask(RedMeansCell(), cell_size=size).read_cells(maps.numpy()) for size in (None, 20.0)]
    assert [len(cells) for cells in found] == [2, 1]
    assert found[1].boxes.tolist() == [[5, 5, 25, 25]]
