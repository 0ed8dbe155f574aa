import json

import pytest

from rbc_lightning.app import run
from rbc_lightning.commands.experiment import Experiment
from rbc_lightning.core.label_files import read_label_map
from rbc_lightning.errors import InputError


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


def test_the_masks_stage_writes_card_panel_and_coco_and_resumes(tmp_path, compose_made, capsys):
    overrides = ("stage=masks", "fit=true", "figure=true", "synthetic.coco=true")
    result = run(compose_made(tmp_path, *overrides))
    assert {path.name for path in result.written} == {"layout_card.txt", "placement.png", "coco.json"}
    assert "nearest neighbour (diameters)" in capsys.readouterr().out
    before = {path.name: path.read_bytes() for path in result.labels.iterdir()}
    assert len(before) == 3
    assert len(json.loads((result.labels.parent / "coco.json").read_text())["images"]) == 3
    # As if killed half way: what is missing is drawn again, byte for byte.
    (result.labels / "mask_00001.png").unlink()
    again = run(compose_made(tmp_path, *overrides))
    assert {path.name: path.read_bytes() for path in again.labels.iterdir()} == before
