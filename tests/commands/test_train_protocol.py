"""What a run trains on and is chosen on: protocols, mixes, size controls; and bad input, one line each."""

import json

import numpy as np
import pytest
from PIL import Image
from tiny_data import disc_smear
from training_helpers import no_runs, read_rows

from rbc_lightning.app import run
from rbc_lightning.commands.experiment import Experiment
from rbc_lightning.core.files import file_sha256
from rbc_lightning.data.lineage import Ancestor, Lineage
from rbc_lightning.data.manifest import Manifest
from rbc_lightning.data.readers.folder import read_folder
from rbc_lightning.data.sample import FilePair, Sample
from rbc_lightning.errors import InputError

MODELS = ("fcn8s", "unet", "dcan", "unet_contour", "faster_rcnn")
TRAIN = {f"smear_{index:02d}" for index in range(5)}


def write_pairs(directory, count, root, names):
    """A set of synthetic pairs as `synthetic.path` takes it, made from samples of the data set in `root`."""
    trained_on = [Ancestor.of(sample) for sample in read_folder(root).samples if sample.sample_id in names]
    samples = []
    for index in range(count):
        image, label_map = disc_smear(seed=500 + index)
        paths = [directory / f"{kind}_{index}.png" for kind in ("image", "label")]
        directory.mkdir(exist_ok=True)
        Image.fromarray(image).save(paths[0])
        Image.fromarray(label_map.astype(np.uint16)).save(paths[1])
        lineage = Lineage(f"0/{index}", "config", "translator", tuple(trained_on))
        hashes = [file_sha256(path) for path in paths]
        name = f"synthetic_{index}"
        samples.append(Sample(name, "train", name, *hashes, FilePair(*paths), "synthetic", lineage))
    Manifest(tuple(samples)).save(directory / "manifest.csv")
    return f"synthetic.path={directory}"


def clear_label_maps(root, *indices):
    for index in indices:
        Image.fromarray(np.zeros((96, 128), dtype=np.uint16)).save(root / "labels" / f"smear_{index:02d}.png")


def kinds_drawn(directory):
    """How often each of real, synthetic and augmented was drawn, by name of the sample."""
    counts = {"real": {}, "synthetic": {}, "augmented": {}}
    for row in read_rows(directory / "drawn.csv"):
        kind = "augmented" if row["augmented"] == "True" else row["origin"]
        counts[kind][row["sample_id"]] = int(row["draws"])
    return counts


@pytest.fixture(scope="module")
def both(tmp_path_factory, compose_tiny):
    """The same run under each protocol."""
    place = tmp_path_factory.mktemp("protocol")
    return [run(compose_tiny(place, "+experiment=rd_aug", f"protocol={name}")) for name in ("held_out", "paper")]


def test_the_paper_protocol_trains_on_all_and_chooses_on_test(both):
    held_out, paper = (result.metrics for result in both)
    assert both[0].directory != both[1].directory
    assert (held_out["optimistic"], held_out["selected_on"], held_out["protocol"]) == (False, "val", "held_out")
    assert (paper["optimistic"], paper["selected_on"], paper["protocol"]) == (True, "test", "paper")
    assert (held_out["mix"]["real"], paper["mix"]["real"]) == (4, 5)
    assert set(kinds_drawn(both[1].directory)["real"]) | set(kinds_drawn(both[1].directory)["augmented"]) == TRAIN
    # Chosen by the very figure that is reported, which is why it is optimistic.
    chosen_by = [float(row["val/dice"]) for row in read_rows(both[1].directory / "curves" / "metrics.csv") if row["val/dice"]]
    assert paper["selection/dice"] == pytest.approx(max(chosen_by))
    # And the threshold after the weights.
    assert paper["test/dice"] >= paper["selection/dice"] - 1e-6
    assert [metrics["threshold_chosen_on"] for metrics in (held_out, paper)] == ["val", "test"]
    assert "val/dice" not in paper
    assert held_out["val/dice"] != pytest.approx(held_out["test/dice"], abs=1e-6)


def test_the_table_marks_an_optimistic_figure_and_sets_no_other_beside_it(both, compose_tiny, capsys):
    said = []
    for result, name in zip(both, ("held_out", "paper"), strict=True):
        assert run(compose_tiny(result.directory.parents[1], "+experiment=rd_aug", f"protocol={name}")).reused
        said.append(" ".join(capsys.readouterr().out.split()))
    assert "optimistic: weights chosen on the test split" not in said[0]
    assert "optimistic: weights chosen on the test split" in said[1]
    assert "1 finished run on this data with other settings or seeds is not shown" in said[1]


@pytest.mark.parametrize("protocol", ["held_out", "paper"])
def test_pairs_that_descend_from_a_test_image_are_refused(tmp_path, compose_tiny, protocol, tiny_folder):
    given = write_pairs(tmp_path / "pairs", 4, tiny_folder, ["smear_00", "smear_05"])
    with pytest.raises(InputError, match=r"'synthetic_0' \(.*\) descends from sample 'smear_05', which is in the test split"):
        run(compose_tiny(tmp_path, "+experiment=rd_sd", f"protocol={protocol}", given))
    assert no_runs(tmp_path)


def test_pairs_made_from_all_of_train_are_for_the_paper_protocol_alone(tmp_path, compose_tiny, tiny_folder):
    given = write_pairs(tmp_path / "pairs", 4, tiny_folder, sorted(TRAIN))
    with pytest.raises(InputError, match="which is in the val split"):
        run(compose_tiny(tmp_path, "+experiment=rd_sd", given))
    assert run(compose_tiny(tmp_path, "+experiment=rd_sd", "protocol=paper", given)).metrics["mix"]["synthetic"] == 3


def test_a_ratio_is_followed_over_whole_passes(tmp_path, compose_tiny, tiny_folder):
    given = write_pairs(tmp_path / "pairs", 8, tiny_folder, ["smear_00"])
    overrides = ("+experiment=rd_sd_aug", "mix.ratio=[1,2,1]", "mix.total=16", "training.steps=16", "augment=copy_paste")
    result = run(compose_tiny(tmp_path, *overrides, given))
    assert result.metrics["mix"] == {"real": 4, "synthetic": 8, "augmented": 4, "total": 16}
    drawn = kinds_drawn(result.directory)
    # Thirty-two draws, two passes.
    assert {kind: sum(counts.values()) for kind, counts in drawn.items()} == {"real": 8, "synthetic": 16, "augmented": 8}
    assert all(set(counts.values()) == {2} for counts in drawn.values())
    val = set(Experiment(compose_tiny(tmp_path)).manifest.ids("val"))
    assert set(drawn["real"]) == set(drawn["augmented"]) == TRAIN - val
    assert len(val) == 1


@pytest.mark.parametrize(("experiment", "kind"), [("rd_large", "real"), ("sd_large", "synthetic")])
def test_size_controls_draw_one_kind_as_often_as_the_large_columns_draw_all(
    tmp_path, compose_tiny, capsys, experiment, kind, tiny_folder
):
    given = write_pairs(tmp_path / "pairs", 8, tiny_folder, ["smear_00"])
    result = run(compose_tiny(tmp_path, f"+experiment={experiment}", given))
    assert (result.metrics["column"], result.metrics["mix"]["total"], result.metrics["steps"]) == (experiment, 8, 4)
    assert result.directory.name.startswith(f"folder_{experiment}_fcn8s_seed0")
    drawn = kinds_drawn(result.directory)
    assert {name: sum(counts.values()) for name, counts in drawn.items() if counts} == {kind: 8}
    assert set(drawn[kind].values()) == ({2} if kind == "real" else {1})
    assert f"{kind[0].upper()}D" in capsys.readouterr().out


@pytest.mark.parametrize("model", MODELS)
def test_images_without_cells_are_trained_on_validated_and_tested(own_folder, tmp_path, compose_tiny, capsys, model):
    """One image of each split: the first is noted, and no score of the others is missing."""
    clear_label_maps(own_folder, 0, 1, 5)
    cfg = compose_tiny(tmp_path, "+experiment=rd", f"model={model}", "training.steps=2", root=own_folder)
    assert Experiment(cfg).manifest.ids("val") == ("smear_01",)
    result = run(cfg)
    assert "note: 1 training label maps without a cell count as background: smear_00" in capsys.readouterr().out
    assert "smear_00" in kinds_drawn(result.directory)["real"]
    content = json.loads((result.directory / "metrics.json").read_text(), parse_constant=pytest.fail)
    assert [float(row["n_true"]) for row in read_rows(result.directory / "per_image.csv")] == [0, 9]
    assert all(np.isfinite(value) for name, value in content.items() if name.startswith(("test/", "val/")))


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (
            (),
            r"the train split's label maps hold no cell off the border, from which the cell size is measured; expected some: "
            r"check labels/, or set model\.task\.cell_size=<pixels>",
        ),
        (("model.task.cell_size=22",), r"none of the 4 training label maps has a cell \(.*smear_00\.png is the first\)"),
    ],
)
def test_a_train_split_without_a_cell_is_one_line(own_folder, tmp_path, compose_tiny, overrides, message):
    clear_label_maps(own_folder, *range(5))
    with pytest.raises(InputError, match=message):
        run(compose_tiny(tmp_path, "+experiment=rd_aug", *overrides, root=own_folder))
    assert no_runs(tmp_path)


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (("data.validation_fraction=0",), r"data\.validation_fraction=0; expected a number between 0 and 1, such as 0\.2"),
        (("training.ema_decay=1",), r"training\.ema_decay=1; expected a number from 0 \(off\) to below 1"),
        (("training.ema_decay=-0.1",), r"training\.ema_decay=-0\.1; expected a number from 0"),
        (("protocol=test",), r"protocol=test; expected one of held_out, paper"),
        (("model=dcan", "model.task.contour_radius=0"), r"model\.task: contour_radius must be at least 1 pixel or None, got 0"),
        (("model=faster_rcnn", "model.net.backbone=vgg16"), r"model\.net: backbone must be resnet18.*got 'vgg16'"),
        (("model=faster_rcnn", "model.task.tile=20"), r"model\.task: tile must be larger than the overlap of 4\d px, got 20"),
        (("model=unet", "model.net.encoder=resnet17"), r"model\.net: .*resnet17"),
        (("mix.ratio=[1,2]",), r"mix\.ratio=\[1, 2\]; expected three shares real : synthetic : augmented"),
        (("mix.ratio=[1,0,1]", "mix.augmented=3"), r"mix\.ratio=.* and mix\.\w+=\d; expected a ratio of mix\.total or counts"),
        (("+augment.transforms.blur={p: 1}",), r"blur"),
        (("augment=copy_paste", "augment.copy_paste.cells=[5]"), r"augment\.copy_paste: "),
    ],
)
def test_a_bad_setting_is_one_line_and_leaves_no_run(tmp_path, compose_tiny, overrides, message):
    with pytest.raises(InputError, match=message) as raised:
        run(compose_tiny(tmp_path, "+experiment=rd_aug", *overrides))
    assert "\n" not in str(raised.value)
    assert no_runs(tmp_path)
