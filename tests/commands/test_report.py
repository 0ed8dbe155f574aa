"""The whole chain behind a report: tiny runs that are really trained, their page, and what is left when parts of them are."""

import io
import shutil

import numpy as np
import pytest
import yaml
from omegaconf import open_dict
from PIL import Image
from training_helpers import read_rows

from rbc_lightning.app import run
from rbc_lightning.commands import report
from rbc_lightning.commands.experiment import Experiment
from rbc_lightning.commands.plain import plain
from rbc_lightning.data.formats import write_image
from rbc_lightning.report import assemble
from rbc_lightning.study.run_record import CONFIG, Run


@pytest.fixture
def place(trained, tmp_path):
    """A copy of the runs, to be damaged; the artifacts stay where they are."""
    shutil.copytree(trained / "runs", tmp_path / "runs")
    return tmp_path


@pytest.fixture
def page_of(place, trained, compose_tiny, monkeypatch):
    """Call the stage; return the page that was drawn, and how many images were predicted for it."""
    pages, calls = [], []
    render, find_objects = assemble.render, report.find_objects
    monkeypatch.setattr(assemble, "render", lambda page: pages.append(page) or render(page))
    monkeypatch.setattr(report, "find_objects", lambda *args: calls.append(None) or find_objects(*args))

    def call(*overrides, **changes):
        calls.clear()
        report.run(compose_tiny(place, "stage=report", f"artifacts_dir={trained}/artifacts", *overrides, **changes))
        return pages[-1], len(calls)

    return call


def html(place):
    return (place / "runs" / "report" / "folder" / "report.html").read_bytes()


def run_of(place, column, model):
    (directory,) = (place / "runs").glob(f"folder_{column}_{model}_seed0_*")
    return directory


def scores(directory, name):
    return {row["sample_id"]: float(row[name]) for row in read_rows(directory / "per_image.csv")}


def rgba(layer):
    return np.array(Image.open(io.BytesIO(layer.overlay)).convert("RGBA"))


def missing(page, start):
    (line,) = (line for line in page.missing if line.startswith(start))
    return line


def test_the_page_shows_verdicts_and_every_test_image_with_its_layers(place, page_of, tiny_folder):
    page, predicted = page_of()
    assert predicted == 4
    assert "Not run yet" in html(place).decode()
    assert [image.sample_id for image in page.gallery] == ["smear_05", "smear_06"]
    dice = scores(run_of(place, "rd_sd", "fcn8s"), "dice")
    ap50, n_found = (scores(run_of(place, "rd", "faster_rcnn"), name) for name in ("ap50", "n_found"))
    for image in page.gallery:
        name = image.sample_id
        truth, boxes, mask = image.layers
        assert (truth.name, truth.score, truth.n_cells) == ("truth", None, 9)
        assert (boxes.name, boxes.score_name) == ("faster_rcnn, RD", "AP50")
        # Found again by the weights that were tested, as often as then.
        assert (boxes.score, boxes.n_cells) == (ap50[name], n_found[name])
        assert (mask.name, mask.score_name, mask.score, mask.n_cells) == ("fcn8s, RD+SD", "Dice", dice[name], None)
        shown = np.array(Image.open(io.BytesIO(image.data))).astype(int)
        original = np.array(Image.open(tiny_folder / "images" / f"{name}.png")).astype(int)
        assert np.abs(shown - original).mean() < 6
        # Dark discs on light ground: one outline for each of the nine, at their borders.
        outline, cells = (rgba(mask) == (86, 180, 233, 255)).all(axis=2), rgba(truth)[..., 3] > 0
        inside = np.logical_and.reduce([np.roll(cells, step, axis) for step in (3, -3) for axis in (0, 1)])
        assert outline[cells & ~inside].sum() > 0.6 * outline.sum() > 0
    assert len(page.bars) == len(page.learning) == 2
    # A second call predicts nothing and writes the same bytes, as does one that has to predict anew.
    first = html(place)
    assert (page_of()[1], html(place)) == (0, first)
    shutil.rmtree(place / "runs" / "report")
    assert (page_of()[1], html(place)) == (4, first)


def test_another_threshold_is_predicted_with_anew(place, page_of):
    page_of("report.models=[fcn8s]")
    path = run_of(place, "rd_sd", "fcn8s") / "config.yaml"
    path.write_text(path.read_text().replace("threshold: null", "threshold: 0.9"))
    assert "threshold: 0.9" in path.read_text()
    assert page_of("report.models=[fcn8s]")[1] == 2


def test_data_are_found_where_they_were_moved_to_or_where_the_run_found_them(place, page_of, compose_tiny, own_folder):
    page, _ = page_of(root=own_folder)
    assert len(page.gallery) == 2
    assert page_of(root=place / "nowhere")[0].gallery == page.gallery
    # As the command line leaves it when data.root is not given.
    cfg = compose_tiny(place, "stage=report")
    with open_dict(cfg):
        cfg.data.root = "???"
    report.run(cfg)
    assert page_of()[0].gallery == page.gallery


def test_what_cannot_be_predicted_any_more_is_named_and_hides_nothing_else(place, page_of, own_folder, tiny_folder, capsys):
    (run_of(place, "rd", "faster_rcnn") / "checkpoints" / "best.ckpt").write_bytes(b"weights")
    page, _ = page_of()
    assert "no checkpoint of a training" in missing(page, "gallery, faster_rcnn: no predictions")
    assert [one.name for one in page.gallery[0].layers] == ["truth", "fcn8s, RD+SD"]
    damaged = run_of(place, "rd", "fcn8s")
    (damaged / "metrics.json").write_text("{")
    capsys.readouterr()
    assert len(page_of()[0].gallery) == 2
    assert f"{damaged.name}: left out, cannot be read" in " ".join(capsys.readouterr().out.split())
    # Other images than those that were tested.
    splits = own_folder / "splits.csv"
    text = splits.read_text()
    splits.write_text(text.replace("smear_06,test", "smear_06,train"))
    page, _ = page_of(root=own_folder)
    assert page.gallery == []
    assert f"{own_folder} has other test images than" in missing(page, "gallery, fcn8s")
    splits.write_text(text)
    write_image(own_folder / "images" / "smear_06.png", np.full((96, 128, 3), 90, dtype=np.uint8))
    page, _ = page_of(root=own_folder)
    assert f"{own_folder} has changed since" in missing(page, "gallery, fcn8s")
    # None at all.
    for path in (place / "runs").glob("*/config.yaml"):
        path.write_text(path.read_text().replace(str(tiny_folder), "/gone"))
    page, _ = page_of(root=place / "nowhere")
    assert page.gallery == []
    line = missing(page, "gallery, fcn8s: no predictions")
    assert f"{place}/nowhere and /gone: no such directory; set data.root to the data set" in line
    assert "Not run yet" in html(place).decode()


def test_cards_and_sheets_are_found_where_the_stages_leave_them(place, page_of, trained, compose_tiny, tiny_folder):
    page, _ = page_of("report.gallery=0")
    assert [picture.title for picture in page.sheets] == ["Synthetic smears", "Synthetic cells"]
    for start, stage in (("layout card", "masks fit=true figure=true"), ("quality card", "translator")):
        data = f"data=folder data.name=folder data.root={tiny_folder} scale=tiny"
        told = missing(page, start)
        # Between data set and seed stand the other settings that decide these runs.
        assert f": python -m rbc_lightning stage={stage} {data} " in told
        assert f" seed=0 artifacts_dir={trained}/artifacts" in told
    artifacts = place / "artifacts"
    shutil.copytree(trained / "artifacts", artifacts)
    # Another sampler's card is not the one of these runs.
    run(compose_tiny(place, "stage=masks", "fit=true", "seed=1", "synthetic.count=1"))
    assert page_of("report.gallery=0", f"artifacts_dir={artifacts}")[0].cards == []
    run(compose_tiny(place, "stage=masks", "fit=true", "figure=true", "synthetic.count=1"))
    (translator,) = (path for path in (artifacts / "translator").iterdir() if path.is_dir())
    write_image(translator / "quality_card.png", np.full((30, 40, 3), 70, dtype=np.uint8))
    page, _ = page_of("report.gallery=0", f"artifacts_dir={artifacts}")
    assert [picture.title for picture in page.cards] == ["Layout card", "Quality card"]
    assert "Where cells are placed" in [picture.title for picture in page.sheets]
    assert not [line for line in page.missing if "card" in line]
    assert f"quality card: translator {translator.name}" in page.sources


@pytest.mark.parametrize(("own", "recorded"), [(("data.split_seed=5",), True), ((), False)])
def test_test_images_are_found_by_the_cut_that_the_run_saw(tmp_path, compose_tiny, own, recorded):
    """Runs made when there was one seed for everything have that alone in their configuration."""
    cfg = compose_tiny(tmp_path, "seed=2", *own)
    manifest, config = Experiment(cfg).manifest, plain(cfg)
    if not recorded:
        del config["data"]["split_seed"]
    (tmp_path / CONFIG).write_text(yaml.safe_dump(config))
    scores = {name: {"dice": 0.9} for name in manifest.ids("test")}
    run = Run(tmp_path, {"data_hash": manifest.fingerprint()}, scores, {}, 0.0)
    assert [sample.sample_id for sample in report._access(compose_tiny(tmp_path)).tested(run)] == list(manifest.ids("test"))
