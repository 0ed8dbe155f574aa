import json

import pytest
from tiny_data import write_tiny_folder
from volume_samples import write_scans

from rbc_lightning.app import run
from rbc_lightning.commands.experiment import Experiment
from rbc_lightning.commands.masks import _misses
from rbc_lightning.core.label_files import read_label_map
from rbc_lightning.errors import InputError
from rbc_lightning.masks import LayoutCard
from rbc_lightning.masks.statistics.card import CardRow
from rbc_lightning.masks.statistics.chance import Apart


def test_null_means_measured_and_numbers_win(tmp_path, compose_tiny):
    experiment = Experiment(compose_tiny(tmp_path, "sampler=adhesion", "sampler.count_mean=7"))
    values = experiment.masks().values(experiment.store)
    assert (values["height"], values["width"], values["count_mean"], values["n_init"]) == (96, 128, 7, 1)
    assert values["cell_size"] == pytest.approx(22, abs=0.5)


def test_real_masks_take_no_sampler(tmp_path, compose_tiny):
    result = run(compose_tiny(tmp_path, "stage=masks", "masks=real"))
    assert "4 training label maps" in result.summary()
    label_map = read_label_map(sorted(result.labels.iterdir())[0])
    assert label_map.shape == (96, 128)
    assert label_map.max() > 4
    assert not list((tmp_path / "artifacts").glob("shape_bank*"))
    with pytest.raises(InputError, match="fit=true and figure=true show the sampler; take masks=sampled"):
        run(compose_tiny(tmp_path, "stage=masks", "masks=real", "figure=true"))


def test_on_slices_nobody_is_sent_to_a_sampler_that_they_cannot_have(tmp_path, compose_tiny):
    root = write_scans(tmp_path / "scans")
    base = ("stage=masks", "data=mri", "figure=true", "data.validation_fraction=0.34")
    with pytest.raises(InputError, match=r"and label maps of mri hold classes \(lesion\); leave both out"):
        run(compose_tiny(tmp_path, *base, root=root))
    with pytest.raises(InputError, match=r"masks=sampled lays out single cells, .*; take masks=real"):
        run(compose_tiny(tmp_path, *base, "masks=sampled", root=root))


def test_the_masks_stage_writes_card_panel_and_coco_and_resumes(tmp_path, compose_made, capsys):
    overrides = ("stage=masks", "fit=true", "figure=true", "synthetic.coco=true")
    result = run(compose_made(tmp_path, *overrides))
    assert {path.name for path in result.written} == {"layout_card.txt", "placement.png", "coco.json"}
    assert "nearest neighbour (diameters)" in capsys.readouterr().out
    card = (result.labels.parent / "layout_card.txt").read_text()
    assert "chance: the same with images swapped at random" in card
    before = {path.name: path.read_bytes() for path in result.labels.iterdir()}
    assert len(before) == 3
    assert len(json.loads((result.labels.parent / "coco.json").read_text())["images"]) == 3
    # As if killed half way: what is missing is drawn again, byte for byte.
    (result.labels / "mask_00001.png").unlink()
    again = run(compose_made(tmp_path, *overrides))
    assert {path.name: path.read_bytes() for path in again.labels.iterdir()} == before


def test_what_is_further_than_chance_has_it_gets_a_line():
    def row(name, p, p_of_same_counts):
        others = {"test counts": Apart(1.5, 1.0, p_of_same_counts), "real train": Apart(1.0, 1.0, 0.5)}
        return CardRow(name, 1.0, 2.0, Apart(2.0, 1.0, p), others)

    # A ratio of 2 may well be chance: p decides, and a p-value that nobody knows decides nothing.
    rows = row("area (px)", 0.06, 0.01), row("g(r)", 0.05, 0.2), row("axis ratio", 0.005, 0.01), row("x", float("nan"), 0.5)
    area, axis = _misses(LayoutCard(rows))
    assert area == (
        "g(r): 2.00 times the distance of chance (p = 0.050); 1.50 (p = 0.200) with as many cells as the test images (the "
        "number of cells differs); the real train split itself: 1.00 (p = 0.500)"
    )
    assert axis.startswith("axis ratio: 2.00")
    assert "(the number of cells does not explain it)" in axis


def test_patients_are_swapped_whole_and_face_as_many_masks(tmp_path, compose_tiny):
    def group(index):
        # Six test images of two patients, in turns.
        return f"patient {5 + index % 2 if index > 4 else index}"

    root = write_tiny_folder(tmp_path / "data", n_test=6, group_of=group)
    result = run(compose_tiny(tmp_path, "stage=masks", "fit=true", "sampler.generations=0", root=root))
    card = (result.labels.parent / "layout_card.txt").read_text()
    assert card.startswith("Layouts of 6 sampled masks")
    assert "between 6 real images and as many of the others" in card
    assert "groups of images swapped at random (2 of them)" in card
    assert "at least 0.5 here" in card
