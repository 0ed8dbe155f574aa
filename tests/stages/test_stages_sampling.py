import json

import numpy as np
import pytest

from rbc_lightning.app import run
from rbc_lightning.errors import InputError
from rbc_lightning.stages.inputs import load_inputs
from rbc_lightning.stages.sampling import build_sampler, mask_seed, measure_layout, sampler_values, shape_bank


def test_the_layout_of_the_train_split_is_measured_by_hand_computed_numbers():
    label_map = np.zeros((40, 60), dtype=np.int32)
    label_map[10:20, 10:20] = 1
    label_map[0:5, 0:5] = 2
    empty = np.zeros((40, 60), dtype=np.int32)
    layout = measure_layout([label_map, empty])
    assert (layout.height, layout.width, layout.count_mean, layout.count_std) == (40, 60, 1.0, 1.0)
    # The corner cell is cut by the border and does not count: an area of 100 pixels is a disc of diameter 11.28.
    assert layout.cell_size == pytest.approx(2 * np.sqrt(100 / np.pi))


def test_no_whole_cell_is_a_clear_error():
    with pytest.raises(InputError, match="hold no cell off the border"):
        measure_layout([np.ones((5, 5), dtype=np.int32)])


def test_null_means_measured_and_numbers_win(tmp_path, compose_tiny):
    cfg = compose_tiny(tmp_path, "sampler=adhesion", "sampler.count_mean=7")
    inputs = load_inputs(cfg)
    values = sampler_values(cfg, shape_bank(inputs))
    assert (values["height"], values["width"], values["count_mean"], values["n_init"]) == (96, 128, 7, 1)
    assert values["cell_size"] == pytest.approx(22, abs=0.5)


def test_the_fitted_sampler_is_fitted_once_and_draws_by_seed(tmp_path, compose_tiny, capsys):
    cfg = compose_tiny(tmp_path)
    inputs = load_inputs(cfg)
    first, second = build_sampler(cfg, inputs), build_sampler(cfg, inputs)
    assert capsys.readouterr().out.count("Fitting the sampler") == 1
    masks = [sampler.sample(mask_seed(0, 3)).label_map for sampler in (first, second)]
    np.testing.assert_array_equal(masks[0], masks[1])
    assert not np.array_equal(masks[0], first.sample(mask_seed(1, 3)).label_map)
    assert not np.array_equal(masks[0], first.sample(mask_seed(0, 4)).label_map)


def test_the_masks_stage_writes_card_panel_and_coco_and_resumes(tmp_path, compose_tiny, capsys):
    overrides = ("stage=masks", "fit=true", "figure=true", "synthetic.coco=true")
    result = run(compose_tiny(tmp_path, *overrides))
    assert {path.name for path in result.written} == {"layout_card.txt", "placement.png", "coco.json"}
    assert "nearest neighbour (diameters)" in capsys.readouterr().out
    before = {path.name: path.read_bytes() for path in result.labels.iterdir()}
    assert len(before) == 3
    assert len(json.loads((result.labels.parent / "coco.json").read_text())["images"]) == 3
    # As if killed half way: what is missing is drawn again, byte for byte.
    (result.labels / "mask_00001.png").unlink()
    again = run(compose_tiny(tmp_path, *overrides))
    assert {path.name: path.read_bytes() for path in again.labels.iterdir()} == before
