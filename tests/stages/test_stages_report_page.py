"""The page of the report: gathered from tiny runs that were really trained, then from what is left of them."""

import io
import shutil

import numpy as np
import pytest
import torch
from omegaconf import open_dict
from PIL import Image
from training_helpers import read_rows

from rbc_lightning.app import run
from rbc_lightning.data.formats import write_image
from rbc_lightning.report.pictures import encode_png
from rbc_lightning.stages import report
from rbc_lightning.stages.reporting import gallery as report_gallery

# A network that sees one pixel: it learns dark discs in a second.
SMALL_NET = (
    "model.net._target_=torch.nn.Conv2d",
    *(f"~model.net.{name}" for name in ("n_classes", "width", "batch_norm", "dropout", "decoder_channels")),
    "+model.net.in_channels=3",
    "+model.net.out_channels=1",
    "+model.net.kernel_size=1",
    "model.task.learning_rate=0.1",
    "training.steps=60",
    "training.steps_per_epoch=30",
)


@pytest.fixture(scope="module")
def trained(tmp_path_factory, compose_tiny):
    """Runs of two models, FCN-8s on real and on synthetic images, with their artifacts: not to be written to."""
    place = tmp_path_factory.mktemp("report")
    run(compose_tiny(place, "+experiment=rd", *SMALL_NET))
    run(compose_tiny(place, "+experiment=rd_sd", "mix.total=6", *SMALL_NET))
    run(compose_tiny(place, "+experiment=rd", "model=faster_rcnn"))
    return place


@pytest.fixture
def place(trained, tmp_path):
    """A copy of the runs, to be damaged; the artifacts stay where they are."""
    shutil.copytree(trained / "runs", tmp_path / "runs")
    return tmp_path


@pytest.fixture
def page_of(place, trained, compose_tiny, monkeypatch):
    """Call the stage; return the page that was drawn, and how many images were predicted for it."""
    pages, calls = [], []
    render, find_cells = report.render, report_gallery.find_cells
    monkeypatch.setattr(report, "render", lambda page: pages.append(page) or render(page))
    monkeypatch.setattr(report_gallery, "find_cells", lambda *args: calls.append(None) or find_cells(*args))

    def call(*overrides, **changes):
        calls.clear()
        cfg = compose_tiny(place, "stage=report", f"artifacts_dir={trained}/artifacts", *overrides, **changes)
        report.run(cfg)
        return pages[-1], len(calls)

    return call


def html(place):
    return (place / "runs" / "report" / "folder" / "report.html").read_bytes()


def run_of(place, column, model):
    (directory,) = (place / "runs").glob(f"folder_{column}_{model}_seed0_*")
    return directory


def scores(directory, name):
    return {row["sample_id"]: float(row[name]) for row in read_rows(directory / "per_image.csv")}


def layer(page, number, start):
    (found,) = (one for one in page.gallery[number].layers if one.name.startswith(start))
    return found


def missing(page, start):
    (line,) = (line for line in page.missing if line.startswith(start))
    return line


def test_the_page_shows_verdicts_and_every_test_image_with_its_layers(place, page_of, tiny_folder):
    page, predicted = page_of()
    assert predicted == 4
    assert "cannot tell" in html(place).decode()
    assert [image.sample_id for image in page.gallery] == ["smear_05", "smear_06"]
    dice = scores(run_of(place, "rd_sd", "fcn8s"), "dice")
    ap50, n_found = (scores(run_of(place, "rd", "faster_rcnn"), name) for name in ("ap50", "n_found"))
    for image in page.gallery:
        assert (image.width, image.height) == (128, 96)
        truth, boxes, mask = image.layers
        assert (truth.name, truth.score, truth.n_cells) == ("truth", None, 9)
        name = image.sample_id
        assert (boxes.name, boxes.score_name, boxes.score, boxes.n_cells) == (
            "faster_rcnn, RD",
            "AP50",
            ap50[name],
            n_found[name],
        )
        # The synthetic column has as many seeds, and comes before RD alone.
        assert (mask.name, mask.score_name, mask.score, mask.n_cells) == ("fcn8s, RD+SD", "Dice", dice[name], None)
        assert {Image.open(io.BytesIO(one.overlay)).size for one in image.layers} == {(128, 96)}
        shown = np.array(Image.open(io.BytesIO(image.data))).astype(int)
        original = np.array(Image.open(tiny_folder / "images" / f"{name}.png")).astype(int)
        assert np.abs(shown - original).mean() < 6
    source = f"predictions of fcn8s: RD+SD, seed 0, best weights of {run_of(place, 'rd_sd', 'fcn8s').name}"
    assert source in page.sources
    assert len(page.bars) == len(page.learning) == 2


def test_what_the_network_sees_is_what_the_layer_shows(place, page_of):
    page, _ = page_of()
    for number in (0, 1):
        overlay = np.array(Image.open(io.BytesIO(layer(page, number, "fcn8s").overlay)).convert("RGBA"))
        truth = np.array(Image.open(io.BytesIO(layer(page, number, "truth").overlay)).convert("RGBA"))[..., 3] > 0
        outline = (overlay == (86, 180, 233, 255)).all(axis=2)
        # Dark discs on light ground: one outline for each of the nine, at their borders.
        assert outline.any()
        inside = truth & np.roll(truth, 3, 0) & np.roll(truth, -3, 0) & np.roll(truth, 3, 1) & np.roll(truth, -3, 1)
        assert outline[truth & ~inside].sum() > 0.6 * outline.sum()


def test_a_second_call_predicts_nothing_and_writes_the_same_bytes(place, page_of):
    page_of()
    first = html(place)
    assert page_of()[1] == 0
    assert html(place) == first
    shutil.rmtree(place / "runs" / "report")
    assert page_of()[1] == 4
    assert html(place) == first


def test_other_weights_are_predicted_with_anew(place, page_of):
    before, _ = page_of()
    path = run_of(place, "rd_sd", "fcn8s") / "checkpoints" / "best.ckpt"
    kept = path.read_bytes()
    content = torch.load(path, weights_only=True)
    content["state_dict"] = {name: -value for name, value in content["state_dict"].items()}
    torch.save(content, path)
    after, predicted = page_of()
    assert predicted == 2
    assert layer(after, 0, "fcn8s").overlay != layer(before, 0, "fcn8s").overlay
    assert layer(after, 0, "faster_rcnn") == layer(before, 0, "faster_rcnn")
    path.write_bytes(kept)
    again, predicted = page_of()
    assert predicted == 0
    assert again.gallery == before.gallery


def test_another_threshold_is_predicted_with_anew(place, page_of):
    page_of()
    path = run_of(place, "rd_sd", "fcn8s") / "config.yaml"
    assert "threshold: 0.6" in path.read_text()
    path.write_text(path.read_text().replace("threshold: 0.6", "threshold: 0.9"))
    assert page_of("report.models=[fcn8s]")[1] == 2


def test_a_damaged_cache_is_made_anew(place, page_of):
    before, _ = page_of()
    for number, path in enumerate(sorted((place / "runs" / "report" / "folder" / "predictions").iterdir())):
        path.write_bytes((b"", b"PK", path.read_bytes()[:-40], b"\x93NUMPY")[number])
    after, predicted = page_of()
    assert predicted == 4
    assert after.gallery == before.gallery


def test_without_weights_the_layer_is_left_out_and_told(place, page_of):
    (run_of(place, "rd", "faster_rcnn") / "checkpoints" / "best.ckpt").unlink()
    page, _ = page_of()
    assert [one.name for one in page.gallery[0].layers] == ["truth", "fcn8s, RD+SD"]
    assert "has no checkpoints/best.ckpt any more" in missing(page, "gallery, faster_rcnn: no predictions")
    # Another run of the model speaks for it as long as there is one.
    (run_of(place, "rd_sd", "fcn8s") / "checkpoints" / "best.ckpt").unlink()
    page, _ = page_of()
    assert [one.name for one in page.gallery[0].layers] == ["truth", "fcn8s, RD"]


def test_a_damaged_checkpoint_is_told(place, page_of):
    (run_of(place, "rd", "faster_rcnn") / "checkpoints" / "best.ckpt").write_bytes(b"weights")
    page, _ = page_of()
    assert "no checkpoint of a training" in missing(page, "gallery, faster_rcnn: no predictions")
    assert len(page.gallery[0].layers) == 2


def test_data_are_found_where_they_were_moved_to_or_where_the_run_found_them(
    place, page_of, compose_tiny, own_folder, tiny_folder
):
    page, _ = page_of(root=own_folder)
    assert len(page.gallery) == 2
    page, _ = page_of(root=place / "nowhere")
    assert len(page.gallery) == 2
    # As the command line leaves it when data.root is not given.
    cfg = compose_tiny(place, "stage=report")
    with open_dict(cfg):
        cfg.data.root = "???"
    report.run(cfg)
    assert page_of()[0].gallery == page.gallery


def test_without_data_there_is_no_gallery_and_it_is_told(place, page_of, tiny_folder):
    for path in (place / "runs").glob("*/config.yaml"):
        path.write_text(path.read_text().replace(str(tiny_folder), "/gone"))
    page, _ = page_of(root=place / "nowhere")
    assert page.gallery == ()
    line = missing(page, "gallery, fcn8s: no predictions")
    assert f"{place}/nowhere and /gone: no such directory; set data.root to the data set" in line
    assert "cannot tell" in html(place).decode()


def test_other_images_than_those_tested_are_refused(place, page_of, own_folder):
    splits = own_folder / "splits.csv"
    text = splits.read_text()
    splits.write_text(text.replace("smear_06,test", "smear_06,train"))
    page, _ = page_of(root=own_folder)
    assert page.gallery == ()
    assert f"{own_folder} has other test images than" in missing(page, "gallery, fcn8s")
    assert "(1 of 2 are there)" in missing(page, "gallery, fcn8s")
    splits.write_text(text)
    write_image(own_folder / "images" / "smear_06.png", np.full((96, 128, 3), 90, dtype=np.uint8))
    page, _ = page_of(root=own_folder)
    assert page.gallery == ()
    assert f"{own_folder} has changed since" in missing(page, "gallery, fcn8s")


def test_fewer_images_and_models_are_shown_when_asked_for(page_of):
    page, predicted = page_of("report.gallery=1", "report.models=[faster_rcnn]")
    assert predicted == 1
    assert [[one.name for one in image.layers] for image in page.gallery] == [["truth", "faster_rcnn, RD"]]
    page, predicted = page_of("report.gallery=0")
    assert (page.gallery, predicted) == ((), 0)
    assert not [line for line in page.missing if line.startswith("gallery")]


def test_sheets_are_drawn_from_the_pairs_and_missing_cards_are_told(page_of, trained, tiny_folder):
    page, _ = page_of()
    assert [picture.title for picture in page.sheets] == ["Synthetic smears", "Synthetic cells"]
    assert page.cards == ()
    for start, stage in (("layout card", "masks fit=true figure=true"), ("quality card", "translator")):
        data = f"data=folder data.name=folder data.root={tiny_folder} scale=tiny"
        command = f"python -m rbc_lightning stage={stage} {data} seed=0 artifacts_dir={trained}/artifacts"
        assert command in missing(page, start)
    for sweep in ("ratio", "real_images"):
        assert any(f"+sweep={sweep} data=folder" in line for line in page.missing)


def test_cards_are_found_where_the_stages_leave_them(place, page_of, trained, compose_tiny, monkeypatch):
    artifacts = place / "artifacts"
    shutil.copytree(trained / "artifacts", artifacts)
    # Another sampler's card is not the one of these runs.
    run(compose_tiny(place, "stage=masks", "fit=true", "seed=1", "synthetic.count=1"))
    page, _ = page_of(f"artifacts_dir={artifacts}")
    assert page.cards == ()
    run(compose_tiny(place, "stage=masks", "fit=true", "figure=true", "synthetic.count=1"))
    (translator,) = (path for path in (artifacts / "translator").iterdir() if path.is_dir())
    write_image(translator / "quality_card.png", np.full((30, 2000, 3), 70, dtype=np.uint8))
    for name in ("styles.png", "structures.png"):
        write_image(translator / name, np.full((30, 40, 3), 70, dtype=np.uint8))
    page, _ = page_of(f"artifacts_dir={artifacts}")
    assert [picture.title for picture in page.cards] == ["Layout card", "Quality card"]
    assert Image.open(io.BytesIO(page.cards[1].data)).size == (1600, 24)
    titles = ["Synthetic smears", "Synthetic cells", "Where cells are placed"]
    titles += ["One mask in every style", "One mask painted again and again"]
    assert [picture.title for picture in page.sheets] == titles
    assert not [line for line in page.missing if "card" in line]
    assert f"quality card: translator {translator.name}" in page.sources
    (translator / "quality_card.png").write_bytes(encode_png(np.zeros((9, 9, 3), dtype=np.uint8))[:40])
    page, _ = page_of(f"artifacts_dir={artifacts}")
    assert "cannot be shown" in missing(page, "quality card")
