from dataclasses import replace

import numpy as np
import pytest
from oracles.label_map_node import LabelMapNode
from oracles.mask_checks import check
from oracles.mask_layouts import blob_map

from rbc_lightning.core.build import build
from rbc_lightning.core.store import Store
from rbc_lightning.errors import InputError
from rbc_lightning.masks import MaskSampler, ShapeBank
from rbc_lightning.masks.bank.recipe import measure_layout
from rbc_lightning.masks.sources import SampledMasks, SamplerSettings

MAPS = tuple(blob_map(seed) for seed in range(4))
TRAIN = LabelMapNode("blobs", MAPS)


def source(train=TRAIN, seed=0, **values):
    return SampledMasks(train=train, seed=seed, sampler=SamplerSettings(**values))


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return Store(tmp_path_factory.mktemp("store"), str)


def test_what_is_not_set_is_measured_on_the_train_split(store):
    draw, layout = source().open(store), measure_layout(MAPS)
    assert (layout.height, layout.width) == (96, 128)
    plain = MaskSampler(
        ShapeBank.from_label_maps(MAPS), 96, 128, layout.count_mean, layout.count_std, layout.cell_size, n_init=1
    )
    np.testing.assert_array_equal(draw(3).label_map, plain.sample(3).label_map)
    check(draw(4))


def test_what_is_set_is_taken(store):
    one = source(height=120, width=110, count_mean=7, count_std=0, n_colors=5)
    mask = one.open(store)(0)
    assert (mask.label_map.shape, mask.asked) == ((120, 110), 7)
    assert mask.colors.max() <= 5
    # 20 of 669 cells, at least one.
    assert one.values(store)["n_init"] == 1
    assert source(count_mean=669.0).values(store)["n_init"] == 20
    assert one.about(store) == f"{len(ShapeBank.from_label_maps(MAPS))} shapes in {store.path(one.bank)}/bank.npz"


def test_a_fitted_sampler_is_that_of_the_fit(store):
    one = source(fitted=True, generations=0, population=4)
    fitted = store.make(one.fitted)
    expected = fitted.build(ShapeBank.from_label_maps(MAPS), 96, 128).sample(2)
    np.testing.assert_array_equal(one.open(store)(2).label_map, expected.label_map)
    # The layouts to compare a mask in the making with are those of the plain sampler.
    assert one.values(store) == source().values(store)


@pytest.mark.parametrize("values", [{"generations": 3}, {"population": 7}, {"max_overlap": 0.0}, {"max_overlap": None}])
def test_settings_without_effect_do_not_enter_the_key(values):
    assert source(**values).key == source().key
    assert source(seed=9).key == source().key


@pytest.mark.parametrize("values", [{"cell_size": 20.0}, {"n_init": 3}])
def test_uniform_placement_knows_no_cell_size(values):
    assert source(placement="uniform", **values).key == source(placement="uniform").key
    assert source(**values).key != source().key


@pytest.mark.parametrize(
    "values",
    [
        {"placement": "uniform"},
        {"height": 100},
        {"width": 100},
        {"count_mean": 9.0},
        {"count_std": 1.0},
        {"n_colors": 6},
        {"max_overlap": 0.2},
        {"fitted": True},
        {"train": LabelMapNode("others", MAPS)},
    ],
)
def test_settings_with_an_effect_enter_the_key(values):
    assert source(**values).key != source().key


def test_a_fit_enters_the_key_with_its_seed_and_length():
    fitted = source(fitted=True)
    others = [
        source(fitted=True, generations=3),
        source(fitted=True, population=7),
        source(fitted=True, seed=1),
        source(fitted=True, n_colors=6),
        source(fitted=True, placement="uniform"),
    ]
    assert len({fitted.key, *(other.key for other in others)}) == 6
    # Asking for a fit of what is fitted anyway changes nothing.
    assert replace(fitted, sampler=replace(fitted.sampler, fitted=True)).key == fitted.key
    assert [node.kind for node in fitted.walk()] == ["samples", "shape_bank", "layout_fit", "masks"]


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"generations": -1}, r"sampler\.generations=-1; expected a whole number of at least 0"),
        ({"population": 3}, r"sampler\.population=3; expected a whole number of at least 4"),
        ({"n_colors": 1}, r"sampler\.n_colors=1; expected a whole number of at least 2"),
        ({"placement": "grid"}, r"sampler\.placement=grid; expected one of adhesion, uniform"),
        (
            {"fitted": True, "count_mean": 20},
            r"sampler\.count_mean=20 is a value that the fitted sampler chooses itself; take sampler=adhesion to set",
        ),
    ],
)
def test_bad_settings_are_refused(values, message):
    with pytest.raises(InputError, match=message):
        SamplerSettings(**values)
    spec = {"_target_": "rbc_lightning.masks.sources.SamplerSettings", **values}
    outer = {"_target_": "rbc_lightning.masks.sources.SampledMasks", "sampler": spec}
    with pytest.raises(InputError, match=message):
        build(outer, "masks", train=TRAIN, seed=0)


def test_what_the_sampler_refuses_is_told_as_a_setting(store):
    with pytest.raises(InputError, match=r"sampler: .* larger than the 10 x 128 mask.*check the settings sampler\.\*"):
        source(height=10).open(store)
