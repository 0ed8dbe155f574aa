"""The report stage, on run directories written by hand."""

import csv
import json

import numpy as np
import pytest

from rbc_lightning.app import run
from rbc_lightning.errors import InputError

GAINS = {"rd": 0.0, "rd_aug": 0.02, "rd_sd": 0.04, "rd_sd_aug": 0.06}


def write_run(runs_dir, column, seed, data="folder", ratio=None, translator="pix2pixhd"):
    directory = runs_dir / f"{data}_{column}_fcn8s_seed{seed}_{ratio}_{translator}"
    directory.mkdir(parents=True)
    rng = np.random.default_rng([seed, len(column)])
    gain = GAINS[column] if translator == "pix2pixhd" else -GAINS[column]
    scores = 0.8 + 0.01 * np.arange(12) + gain + 0.002 * rng.standard_normal(12)
    counts = {"real": 4, "synthetic": 4 * ("sd" in column), "augmented": 4 * ("aug" in column)}
    if ratio:
        counts = dict(zip(("real", "synthetic", "augmented"), ratio, strict=True))
    metrics = {
        "column": column,
        "model": "fcn8s",
        "seed": seed,
        "data": data,
        "data_hash": f"split of seed {seed}",
        "headline": "test/dice",
        "test/dice": float(scores.mean()),
        "optimistic": False,
        "identity": {"base": f"b{seed}", "augment": "a" if "aug" in column else None, "synthetic": None},
        "mix": {**counts, "total": sum(counts.values())},
    }
    (directory / "metrics.json").write_text(json.dumps(metrics))
    (directory / "config.yaml").write_text(
        f"seed: {seed}\ntraining: {{steps: 4}}\nmodel: {{name: fcn8s}}\nmix: {{ratio: {ratio or 'null'}}}\n"
        f"translator: {{name: {translator}}}\n"
    )
    rows = [f"t{index},{score}" for index, score in enumerate(scores)]
    (directory / "per_image.csv").write_text("\n".join(["sample_id,dice", *rows]) + "\n")


def test_the_tables_are_written_and_the_verdict_is_told(tmp_path, compose_tiny):
    for column in GAINS:
        for seed in (0, 1, 2):
            write_run(tmp_path / "runs", column, seed)
    write_run(tmp_path / "runs", "rd", 0, data="elsewhere")
    result = run(compose_tiny(tmp_path, "stage=report"))
    assert result.n_runs == 12
    assert "helps" in result.summary()
    assert {path.name for path in result.directory.iterdir()} == {"table2.md", "table2.csv", "table2.tex", "report.html"}
    assert f"open {result.directory}/report.html in a browser" in result.summary()
    # Written by hand, these runs have no weights, and do not say where their images are.
    assert "config.yaml names no data" in (result.directory / "report.html").read_text()
    assert "RD+SD+aug" in (result.directory / "table2.md").read_text()
    with (result.directory / "table2.csv").open() as handle:
        assert len(list(csv.reader(handle))) > 4


def test_of_two_translators_each_has_a_report(tmp_path, compose_tiny):
    for seed in (0, 1, 2):
        for column in GAINS:
            write_run(tmp_path / "runs", column, seed)
        for column in ("rd_sd", "rd_sd_aug"):
            write_run(tmp_path / "runs", column, seed, translator="other")
    reports = {
        name: run(compose_tiny(tmp_path, "stage=report", f"report.translator={name}")) for name in ("pix2pixhd", "other")
    }
    assert {name: result.n_runs for name, result in reports.items()} == {"pix2pixhd": 12, "other": 12}
    assert "helps" in reports["pix2pixhd"].summary()
    assert "hurts" in reports["other"].summary()
    assert reports["other"].directory.name == "folder_other"
    with pytest.raises(InputError, match=r"report\.translator=none_such; expected .*\(other, pix2pixhd\), or null"):
        run(compose_tiny(tmp_path, "stage=report", "report.translator=none_such"))


def test_no_runs_on_this_data_set_is_one_line(tmp_path, compose_tiny):
    with pytest.raises(InputError, match=r"runs_dir=.*runs: no such directory"):
        run(compose_tiny(tmp_path, "stage=report"))
    (tmp_path / "runs").mkdir()
    with pytest.raises(InputError, match="no finished run on folder; expected run directories that stage=train left"):
        run(compose_tiny(tmp_path, "stage=report"))
    write_run(tmp_path / "runs", "rd", 0, data="elsewhere")
    with pytest.raises(InputError, match="there are runs on elsewhere: take one of them"):
        run(compose_tiny(tmp_path, "stage=report"))
    assert not (tmp_path / "runs" / "report").exists()


def test_curves_are_written_where_their_sweeps_were_run(tmp_path, compose_tiny):
    for seed in (0, 1):
        for column, ratio in (("rd_aug", [4, 0, 36]), ("rd_sd_aug", [4, 18, 18]), ("rd_sd", [4, 36, 0])):
            write_run(tmp_path / "runs", column, seed, ratio=ratio)
            write_run(tmp_path / "runs", column, seed)
    result = run(compose_tiny(tmp_path, "stage=report"))
    assert result.n_runs == 6
    table = (result.directory / "table2.md").read_text()
    assert "runs with mix.ratio or data.n_real_images are not in the table; their sweeps have curves" in table
    assert "table2.tex, ratio.csv" in result.summary()
    assert not (result.directory / "real_images.csv").exists()
    with (result.directory / "ratio.csv").open() as handle:
        assert len(list(csv.DictReader(handle))) >= 3
    page = (result.directory / "report.html").read_text()
    assert "+sweep=real_images" in page
    assert "+sweep=ratio" not in page


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("report.gallery=-1", r"report\.gallery=-1; expected a number of test images, 0 for none, or null for all of them"),
        ("report.gallery=many", r"report\.gallery=many; expected a number of test images"),
        ("report.models=[unet]", r"report\.models names unet, of which there is no run; expected some of fcn8s"),
        ("report.models=unet", r"report\.models=unet; expected a list of models, as \[fcn8s\], or null for all of them"),
    ],
)
def test_a_bad_setting_is_one_line_before_anything_is_written(tmp_path, compose_tiny, override, message):
    write_run(tmp_path / "runs", "rd", 0)
    with pytest.raises(InputError, match=message):
        run(compose_tiny(tmp_path, "stage=report", override))
    assert not (tmp_path / "runs" / "report").exists()
