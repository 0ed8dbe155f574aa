"""Whole reports of runs written by hand."""

import csv
import json

import numpy as np
import pytest
from page_samples import Access, make_samples, write_weights
from run_records import changed, write_run

from rbc_lightning.errors import InputError
from rbc_lightning.report.assemble import ReportSettings, make_report

GAINS = {"rd": 0.0, "rd_aug": 0.02, "rd_sd": 0.04, "rd_sd_aug": 0.06}
NAMES = [f"t{number}" for number in range(12)]


def write(root, column, seed, *, translator="pix2pixhd", model="fcn8s", ratio=None, aji=True, **metrics):
    rng = np.random.default_rng([seed, len(column)])
    gain = GAINS[column] if translator == "pix2pixhd" else -GAINS[column]
    scores = 0.8 + 0.01 * np.arange(12) + gain + 0.002 * rng.standard_normal(12)
    by_image = {"count_error": dict(zip(NAMES, 1 - scores, strict=True))}
    by_image |= {"aji": dict(zip(NAMES, scores - 0.3, strict=True))} if aji else {}
    if ratio:
        metrics["mix"] = dict(zip(("real", "synthetic", "augmented"), ratio, strict=True))
    name = f"{model}_{column}_{seed}_{translator}_{ratio}_{metrics.get('data')}"
    settings = changed(translator__name=translator)
    images = dict(zip(NAMES, scores, strict=True))
    write_run(
        root, name, column, seed, model=model, ratio=ratio, settings=settings, images=images, by_image=by_image, **metrics
    )
    return root / name


@pytest.fixture
def root(tmp_path):
    return tmp_path / "runs"


@pytest.fixture
def report(root):
    def call(access=None, **settings):
        access = access or Access(make_samples(*NAMES))
        place = {"data": "smears", "runs_dir": root, "artifacts_dir": root.parent / "artifacts"}
        return make_report(ReportSettings(**settings), access.as_run_access(), **place)

    return call


def test_the_tables_and_the_page_are_written_with_the_verdicts(root, report):
    for column in GAINS:
        for seed in (0, 1, 2):
            directory = write(root, column, seed, command=["data=phantom"])
    write(root, "rd", 0, data="elsewhere")
    write_weights(directory)
    result = report(gallery=2)
    assert len(result.runs) == 12
    assert "RD+SD+aug against RD+aug: helps" in result.summary()
    assert {path.name for path in result.directory.iterdir()} == {
        "table2.md",
        "table2.csv",
        "table2.tex",
        "report.html",
        "predictions",
    }
    assert f"open {result.directory}/report.html in a browser" in result.summary()
    page = (result.directory / "report.html").read_text()
    assert page.count('data-id="') == 2
    assert "+sweep=ratio data=phantom" in page
    assert "RD+SD+aug" in (result.directory / "table2.md").read_text()
    with (result.directory / "table2.csv").open() as handle:
        assert len(list(csv.DictReader(handle))) == 5


@pytest.mark.parametrize("score", ["aji", "count_error"])
def test_any_score_of_the_runs_can_be_the_one_that_is_compared(root, report, score):
    for column in GAINS:
        for seed in (0, 1, 2):
            write_weights(write(root, column, seed))
            write(root, column, seed, model="boxes", aji=False)
    result = report(score=score, gallery=1)
    assert result.directory.name == f"smears_{score}"
    text = (result.directory / "table2.md").read_text()
    title = {"aji": "AJI", "count_error": "Counting error (lower is better)"}[score]
    assert f"| fcn8s, {title} |" in text
    # Less is better, too, where fewer cells are miscounted.
    assert "fcn8s: RD+SD+aug against RD+aug: helps" in result.summary()
    assert ("boxes: left out, not all of its runs have aji by image" in text) == (score == "aji")
    assert len(result.runs) == (12 if score == "aji" else 24)
    page = (result.directory / "report.html").read_text()
    assert ('data-score-name="AJI"' in page) == (score == "aji")
    assert ("data-lower" in page.partition("<script>")[0]) == (score == "count_error")
    with pytest.raises(InputError, match=r"report\.score=pq: no model .* expected one of (aji, )?count_error, dice"):
        report(score="pq")


def test_of_two_translators_each_has_a_report(root, report):
    for seed in (0, 1, 2):
        for column in GAINS:
            write(root, column, seed)
        for column in ("rd_sd", "rd_sd_aug"):
            write(root, column, seed, translator="other")
    reports = {name: report(translator=name, gallery=0) for name in ("pix2pixhd", "other")}
    assert {name: len(result.runs) for name, result in reports.items()} == {"pix2pixhd": 12, "other": 12}
    assert "helps" in reports["pix2pixhd"].summary()
    assert "hurts" in reports["other"].summary()
    assert reports["other"].directory.name == "smears_other"
    with pytest.raises(InputError, match=r"report\.translator=none_such; expected .*\(other, pix2pixhd\), or null"):
        report(translator="none_such")


def test_of_two_translators_each_has_a_row_and_a_verdict(root, report):
    for seed in (0, 1, 2):
        for column in GAINS:
            write_weights(write(root, column, seed))
        for column in ("rd_sd", "rd_sd_aug"):
            write_weights(write(root, column, seed, translator="other"))
    result = report(gallery=1, models=["fcn8s"])
    assert len(result.runs) == 18
    told = result.summary()
    assert "fcn8s, pix2pixhd: RD+SD against RD: helps" in told
    assert "fcn8s, other: RD+SD against RD: hurts" in told
    text = (result.directory / "table2.md").read_text()
    assert "Rows of one model differ in what made the synthetic samples" in text
    assert "generated by other, pix2pixhd" in text
    # Of two rows the published figures are those of their model.
    assert text.count("| fcn8s, pix2pixhd, Bailo et al. 2019") == text.count("| fcn8s, other, Bailo et al. 2019") == 1
    page = (result.directory / "report.html").read_text()
    assert "fcn8s, other, RD+SD+aug" in page
    assert "fcn8s, pix2pixhd, RD+SD+aug" in page


def test_whose_luck_the_spread_is_stands_below_the_model(root, report):
    for translator in (0, 1):
        for training in (0, 1):
            seeds = {"split": 0, "masks": 0, "translator": translator, "synthetic": 0, "training": training}
            identity = {"base": f"{training}", "augmented": "a", "synthetic": f"{translator}"}
            write(root, "rd_sd_aug", 0, data=f"{translator}{training}", seeds=seeds, identity=identity)
    for path in root.glob("*/metrics.json"):
        path.write_text(json.dumps({**json.loads(path.read_text()), "data": "smears"}))
    result = report()
    (run,) = result.runs
    assert run.seeds == dict.fromkeys(("split", "masks", "translator", "synthetic", "training"), 0)
    text = (result.directory / "table2.md").read_text()
    told = "f the spread of RD+SD+aug over seeds (standard deviation 0.0000 of 4 runs, 2 x 2 seeds), "
    assert f" O{told}" in text
    assert f"\nfcn8s: o{told}" in result.summary()
    assert (
        "- fcn8s: 3 runs of other seeds by purpose (translator.seed, training.seed) are used for whose luck it is alone" in text
    )
    assert "left out" not in text


def test_that_figures_mean_nothing_is_the_first_line(root, report):
    write(root, "rd", 0)
    write(root, "rd_aug", 0)
    assert "mean nothing" not in report().summary()
    for path in root.glob("*/config.yaml"):
        path.write_text(f"{path.read_text()}\nscale: {{name: tiny}}\n")
    summary = report().summary()
    assert summary.startswith("Figures of scale=tiny mean nothing: they only show that everything is wired.\n")
    assert "RD+SD+aug against RD+aug: not run yet; run RD+SD+aug (+experiment=rd_sd_aug) with seed=0\n" in summary


def test_no_runs_on_this_data_set_is_one_line(root, report):
    with pytest.raises(InputError, match=r"runs_dir=.*runs: no such directory"):
        report()
    root.mkdir()
    with pytest.raises(InputError, match="no finished run on smears; expected run directories that stage=train left"):
        report()
    write(root, "rd", 0, data="elsewhere")
    with pytest.raises(InputError, match="there are runs on elsewhere: take one of them"):
        report()
    assert not (root / "report").exists()


def test_runs_of_an_older_layout_are_named_once_and_never_mixed_in(root, report, capsys):
    for column in ("rd", "rd_sd"):
        write(root, column, 0)
    for seed in (1, 2):
        path = write(root, "rd", seed) / "metrics.json"
        path.write_text(json.dumps({**json.loads(path.read_text()), "layout": 1}))
    result = report(gallery=0)
    assert len(result.runs) == 2
    said = " ".join(capsys.readouterr().out.split())
    assert said.count("made by an older layout of this package") == 1
    assert "2 runs in " in said
    assert len(list(root.glob("*/metrics.json"))) == 4


def test_versions_that_differ_are_noted(root, report):
    for column, version in (("rd", "1.0"), ("rd_sd", "2.0")):
        write(root, column, 0, version=version)
    result = report(gallery=0)
    assert "- made by different versions: 1.0 (fcn8s_rd_" in (result.directory / "table2.md").read_text()


def test_curves_are_written_where_their_sweeps_were_run(root, report):
    for seed in (0, 1):
        for column, ratio in (("rd_aug", [4, 0, 36]), ("rd_sd_aug", [4, 18, 18]), ("rd_sd", [4, 36, 0])):
            write(root, column, seed, ratio=ratio)
            write(root, column, seed)
    result = report(gallery=0)
    assert len(result.runs) == 6
    table = (result.directory / "table2.md").read_text()
    assert "runs with mix.ratio or data.n_real_images are not in the table; their sweeps have curves" in table
    assert "table2.tex, ratio.csv" in result.summary()
    assert not (result.directory / "real_images.csv").exists()
    page = (result.directory / "report.html").read_text()
    assert "+sweep=real_images" in page
    assert "+sweep=ratio" not in page


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"gallery": -1}, r"report\.gallery=-1; expected a number of test images, 0 for none, or null for all of them"),
        ({"gallery": "many"}, r"report\.gallery=many; expected a number of test images"),
        ({"models": ["unet"]}, r"report\.models names unet, of which there is no run; expected some of fcn8s"),
        ({"models": "unet"}, r"report\.models=unet; expected a list of models, as \[fcn8s\], or null for all of them"),
    ],
)
def test_a_bad_setting_is_one_line_before_anything_is_written(root, report, settings, message):
    write(root, "rd", 0)
    with pytest.raises(InputError, match=message):
        report(**settings)
    assert not (root / "report").exists()


def test_a_second_report_of_the_same_runs_is_the_same(root, report):
    for column in GAINS:
        write_weights(write(root, column, 0))
    access = Access(make_samples(*NAMES))
    first = (report(access).directory / "report.html").read_bytes()
    assert len(access.predicted) == 12
    assert (report(access).directory / "report.html").read_bytes() == first
    assert len(access.predicted) == 12
