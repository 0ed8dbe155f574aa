"""Every model of conf/model trains, is tested, is found again and predicts: what it says of itself agrees throughout."""

import json

import numpy as np
import pytest
import yaml
from PIL import Image
from tiny_data import disc_smear, write_tiny_folder
from training_helpers import no_runs, read_rows

from rbc_lightning.app import run
from rbc_lightning.commands.experiment import Experiment
from rbc_lightning.core.training import build_trainer
from rbc_lightning.data.datamodule import PairDataModule
from rbc_lightning.data.mix import Mix
from rbc_lightning.errors import InputError
from rbc_lightning.segmenters.model import Model
from rbc_lightning.segmenters.segmentation import SegmentationTask
from rbc_lightning.segmenters.training import load_best
from rbc_lightning.usage import CONF_DIR

# What is not trained has tests of its own.
MODELS = sorted(path.stem for path in CONF_DIR.glob("model/*.yaml") if "threshold" not in path.stem)
SEGMENTERS = ("fcn8s", "unet", "unet_novoselov", "wmh_unet")  # the others are ranked by their cells
STEPS, BATCH = 4, 2
RADIUS, COUNT = 11, 9  # of the discs to train on
# Contours of an untrained network reach everywhere: without their veto there are cells to compare.
LENIENT = {
    "dcan": ("model.task.contour_threshold=1.0", "model.task.optimizer.lr=2e-2"),
    "unet_contour": ("model.task.contour_threshold=1.0",),
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Discs of another size, and more of them, on the images that are not trained on."""
    root = write_tiny_folder(tmp_path_factory.mktemp("models") / "data", n_train=5, n_test=2)
    for index in (4, 5, 6):
        image, label_map = disc_smear(seed=index, radius=8, count=12)
        Image.fromarray(image).save(root / "images" / f"smear_{index:02d}.png")
        Image.fromarray(label_map.astype(np.uint16)).save(root / "labels" / f"smear_{index:02d}.png")
    table = root / "splits.csv"
    table.write_text(table.read_text().replace("smear_04,train", "smear_04,val"))
    return root


@pytest.fixture(scope="module", params=MODELS)
def trained(request, tmp_path_factory, compose_tiny, folder):
    """Configuration and outcome of a run of each model in turn."""
    overrides = ("+experiment=rd_aug", f"model={request.param}", *LENIENT.get(request.param, ()))
    cfg = compose_tiny(tmp_path_factory.mktemp(request.param), *overrides, root=folder)
    return cfg, run(cfg)


def test_a_run_tells_what_a_table_needs(trained):
    cfg, result = trained
    metrics = json.loads((result.directory / "metrics.json").read_text(), parse_constant=pytest.fail)
    headline = "test/dice" if cfg.model.name in SEGMENTERS else "test/ap50"
    assert (metrics["headline"], metrics["model"], metrics["column"]) == (headline, cfg.model.name, "rd_aug")
    assert 0 <= metrics[headline] <= 1
    assert headline.replace("test/", "val/") in metrics
    assert (metrics["n_test"], metrics["selected_on"], metrics["optimistic"]) == (2, "val", False)
    rows = read_rows(result.directory / "per_image.csv")
    assert [row["sample_id"] for row in rows] == ["smear_05", "smear_06"]
    assert [float(row["n_true"]) for row in rows] == [12, 12]
    for name in set(rows[0]) & {"dice", "iou", "aji", "pq", "count_error"}:
        assert metrics[f"test/{name}"] == pytest.approx(np.mean([float(row[name]) for row in rows]), abs=1e-6)
    with Image.open(result.directory / "figures" / "run.png") as figure:
        assert min(figure.size) > 100


def test_the_curves_tell_what_was_drawn(trained):
    _, result = trained
    curves = read_rows(result.directory / "curves" / "metrics.csv")
    drawn = read_rows(result.directory / "drawn.csv")
    logged = {kind: sum(float(row[f"drawn/{kind}"] or 0) for row in curves) for kind in ("real", "augmented", "synthetic")}
    counted = {flag: sum(int(row["draws"]) for row in drawn if row["augmented"] == flag) for flag in ("False", "True")}
    # Eight draws are one pass over four real and four augmented samples.
    assert logged == {"real": 4, "augmented": 4, "synthetic": 0}
    assert counted == {"False": logged["real"], "True": logged["augmented"]}
    assert sum(logged.values()) == BATCH * STEPS
    assert {row["sample_id"] for row in drawn} == {f"smear_{index:02d}" for index in range(4)}


def test_sizes_are_those_of_the_cells_trained_on(trained):
    cfg, result = trained
    kept = yaml.safe_load((result.directory / "config.yaml").read_text())["model"]
    measured = {name: part[name] for part in (kept["net"], kept["task"]) for name in ("cell_size", "max_cells") if name in part}
    areas = [np.bincount(disc_smear(100 + index, radius=RADIUS, count=COUNT)[1].ravel())[1:] for index in range(4)]
    diameter = np.mean(2 * np.sqrt(np.concatenate(areas) / np.pi))
    assert diameter == pytest.approx(2 * RADIUS, abs=0.3)
    expected = {"cell_size": round(float(diameter), 2)} | ({"max_cells": COUNT} if cfg.model.name == "faster_rcnn" else {})
    assert measured == expected
    assert all(value is not None for value in measured.values())


def test_reloaded_weights_score_as_they_did(trained):
    cfg, result = trained
    mix = Mix(real=4, synthetic=0, augmented=0)
    experiment = Experiment(cfg)
    data = PairDataModule(experiment.manifest, (), mix, augment=None, crop=None, batch_size=1, steps_per_epoch=1, seed=0)
    kept = yaml.safe_load((result.directory / "config.yaml").read_text())["model"]
    task = load_best(result.directory, Model(kept["name"], kept["net"], kept["task"]))
    trainer = build_trainer(experiment.trainer, result.directory, seed=0, callbacks=[], loggers=[])
    again = trainer.test(task, datamodule=data, verbose=False)[0]
    assert again == pytest.approx({name: result.metrics[name] for name in again}, abs=1e-6)
    assert set(again) == {name for name in result.metrics if name.startswith("test/")}
    with (result.directory / "per_image.csv").open() as handle:
        header = handle.readline().strip().split(",")
    assert header.pop(1) == "group"
    assert [list(row) for row in task.per_image] == [header, header]
    for row, told in zip(task.per_image, read_rows(result.directory / "per_image.csv"), strict=True):
        assert all(float(told[name]) == pytest.approx(value, abs=1e-6) for name, value in row.items() if name != "sample_id")
    # What was kept is what was validated: the running mean, not the weights of the last step; before thresholds were chosen.
    if isinstance(task, SegmentationTask):
        chosen = {name: getattr(task, name) for name in task.thresholds}
        assert chosen == {name: result.metrics[name] for name in chosen}
        given = {name: kept["task"][name] for name in chosen if kept["task"][name] is not None}
        assert given == ({} if cfg.model.name in SEGMENTERS else {"contour_threshold": 1.0})
        assert {name: result.metrics[f"{name}_chosen_on"] for name in chosen} == {
            name: None if name in given else "val" for name in chosen
        }
        task.set_thresholds({"threshold": 0.5})
    validated = trainer.validate(task, datamodule=data, verbose=False)[0]
    assert validated[task.monitor] == pytest.approx(result.metrics[task.monitor], abs=1e-6)


def test_prediction_finds_the_cells_that_the_test_counted(trained, folder, tmp_path, compose_tiny):
    cfg, result = trained
    images = tmp_path / "images"
    images.mkdir()
    for index in (5, 6):
        (images / f"smear_{index:02d}.png").symlink_to(folder / "images" / f"smear_{index:02d}.png")
    overrides = (
        "stage=predict",
        f"predict.run={result.directory}",
        f"predict.images={images}",
        f"predict.output={tmp_path}/out",
    )
    found = run(compose_tiny(tmp_path, *overrides))
    cells = read_rows(tmp_path / "out" / "cells.csv")
    told = {row["sample_id"]: float(row["n_found"]) for row in read_rows(result.directory / "per_image.csv")}
    assert {name: sum(cell["image"] == f"{name}.png" for cell in cells) for name in told} == told
    assert found.cells == sum(told.values()) > 0
    assert found.has_label_maps == (cfg.model.name != "faster_rcnn") == (tmp_path / "out" / "labels").is_dir()


def test_a_network_that_does_not_fit_its_task_is_refused_before_anything_is_written(tmp_path, compose_tiny):
    with pytest.raises(InputError, match=r"model: SegmentationTask needs a network with 1 output channel, this one has 2"):
        run(compose_tiny(tmp_path, "+experiment=rd", "model=unet", "model.net.n_outputs=2"))
    assert no_runs(tmp_path)
