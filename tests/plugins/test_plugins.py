"""Each of the eight things a user may add, from outside the package, through the whole chain at tiny scale."""

import csv
import json
from pathlib import Path

import pytest

from rbc_lightning.app import compose, run

CONF = Path(__file__).parent / "conf"
PARTS = ("segmenter", "loss", "optimiser", "metric", "reader", "label_maps", "translator", "pairs")


def compose_with_plugins(directory, *overrides):
    base = [
        "scale=tiny",
        "floor=none",
        "trainer.progress_bar=false",
        f"artifacts_dir={directory}/artifacts",
        f"runs_dir={directory}/runs",
    ]
    return compose([f"hydra.searchpath=[file://{CONF}]", *base, *overrides])


def read_rows(path):
    with path.open(newline="") as handle:
        return list(csv.DictReader(handle))


@pytest.mark.parametrize("name", PARTS)
def test_a_plugin_is_one_short_file(name):
    assert len((Path(__file__).parent / f"{name}.py").read_text().splitlines()) <= 60


@pytest.fixture(scope="module")
def chain(tmp_path_factory):
    """Everything from outside at once, on two-channel 16-bit images."""
    directory = tmp_path_factory.mktemp("plugins")
    own = ("data=fluorescence", "translator=flat", "masks=rosette", "model=three_convolutions", "augment=flips")
    runs = [run(compose_with_plugins(directory, f"+experiment={column}", *own)) for column in ("rd", "rd_aug", "rd_sd_aug")]
    report = run(compose_with_plugins(directory, "stage=report", "report.score=area_error", *own))
    return directory, runs, report


def test_the_chain_runs_with_all_of_them(chain):
    directory, runs, _ = chain
    metrics = runs[-1].metrics
    assert metrics["model"] == "three_convolutions"
    assert metrics["mix"]["synthetic"] > 0
    assert metrics["recipe"]["base"]["model"]["task"]["loss"]["_target_"] == "plugins.loss.Tversky"
    assert 0 <= metrics["test/dice"] <= 1
    assert metrics["n_test"] == 2
    config = (runs[-1].directory / "config.yaml").read_text()
    assert "plugins.optimiser.SignDescent" in config
    pairs = next((directory / "artifacts" / "synthetic").glob("*/manifest.csv"))
    assert {row["sample_id"] for row in read_rows(pairs)} == {"synthetic_00000", "synthetic_00001"}


def test_the_network_takes_the_data_sets_channels(chain):
    _, runs, _ = chain
    import torch

    weights = torch.load(runs[0].directory / "checkpoints" / "best.ckpt", weights_only=True)["state_dict"]
    assert weights["net.layers.0.weight"].shape == (8, 2, 3, 3)


def test_the_metric_is_a_column_and_a_score_of_the_report(chain):
    _, runs, report = chain
    rows = read_rows(runs[0].directory / "per_image.csv")
    values = [float(row["area_error"]) for row in rows]
    assert runs[0].metrics["test/area_error"] == pytest.approx(sum(values) / len(values))
    assert runs[0].metrics["metrics"]["area_error"] == {"title": "Error of the area", "higher_is_better": False}
    assert "Error of the area" in (report.directory / "table2.md").read_text()
    assert (report.directory / "report.html").is_file()


def test_masks_of_the_source_are_written(tmp_path):
    from rbc_lightning.core.label_files import read_label_map

    result = run(compose_with_plugins(tmp_path, "stage=masks", "data=fluorescence", "masks=rosette", "masks.petals=4"))
    first = read_label_map(sorted(result.labels.glob("*.png"))[0])
    assert first.max() == 4
    assert first.shape == (96, 96)


def test_the_translator_is_shown_and_measured(tmp_path):
    result = run(compose_with_plugins(tmp_path, "stage=translator", "data=fluorescence", "translator=flat"))
    assert result.figure.is_file()
    assert 0 <= json.loads((result.directory / "quality.json").read_text())["dice"] <= 1


def test_pairs_need_no_translator(tmp_path):
    result = run(
        compose_with_plugins(tmp_path, "+experiment=rd_sd", "data=fluorescence", "pairs=halves", "model=three_convolutions")
    )
    assert result.metrics["mix"]["synthetic"] > 0
    assert not list((tmp_path / "artifacts").glob("gan*")), "no translator was needed"


def test_the_paper_translator_learns_two_channels(tmp_path):
    own = ("data=fluorescence", "model=three_convolutions")
    result = run(compose_with_plugins(tmp_path, "+experiment=rd_sd", *own))
    assert list((tmp_path / "artifacts").glob("gan_stage1/*"))
    assert result.metrics["mix"]["synthetic"] > 0
