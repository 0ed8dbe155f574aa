import numpy as np
import pytest
from oracles.crossed_effects import crossed, long_table, mixed_model
from run_records import RECIPE, changed, write_run

from rbc_lightning.core.seeds import SEED_KEYS
from rbc_lightning.study.choose import group_runs
from rbc_lightning.study.collect import collect_runs
from rbc_lightning.study.luck import left_out_for_good, luck_of, variance_components


def write_luck(root, score, column="rd_sd_aug", seed=0, name=None, **changes):
    """A run whose images x and y have the mean `score`; `changes` are seeds of purposes, or entries of the record."""
    own = {purpose: changes.pop(purpose) for purpose in SEED_KEYS if purpose in changes}
    seeds = dict.fromkeys(SEED_KEYS, seed) | own
    images, data_hash = {"x": score + 0.05, "y": score - 0.05}, f"d{seeds['split']}"
    name = name or f"{column}_{'_'.join(map(str, seeds.values()))}"
    write_run(root, name, column, seed, **{"images": images, "seeds": seeds, "data_hash": data_hash, **changes})


def notes(root, model="fcn8s", data="smears", **asked):
    return list(luck_of(collect_runs(root).runs, model, data, **asked).notes)


# --- components


def test_components_by_hand():
    # Row means 2, 5; column means 2, 3.5, 5; residuals 0 but for +-1/2 in the outer columns.
    scores = [[0.5 - 1, 2, 3.5 + 1], [3.5 + 1, 5, 6.5 - 1]]
    # MS_rows = 3 x 4.5, MS_columns = 2 x 2.25, MS_rest = 4 / 2.
    assert variance_components(scores) == pytest.approx(((13.5 - 2) / 3, (4.5 - 2) / 2, 2.0))
    assert variance_components(np.transpose(scores)) == pytest.approx(((4.5 - 2) / 2, (13.5 - 2) / 3, 2.0))


def test_a_negative_component_is_none():
    assert variance_components([[1.0, 0.0], [0.0, 1.0]]) == (0.0, 0.0, 1.0)
    assert variance_components(np.full((3, 3), 0.9)) == pytest.approx((0.0, 0.0, 0.0))


@pytest.mark.parametrize("scores", [[[1.0, 2.0]], [[1.0], [2.0]], [1.0, 2.0], [[1.0, np.nan], [0.0, 1.0]]])
def test_what_is_no_layout_is_refused(scores):
    with pytest.raises(ValueError, match=r"two seeds or more of either purpose, got shape \("):
        variance_components(scores)


@pytest.mark.parametrize("shape", [(3, 3), (4, 6), (9, 5)])
def test_an_analysis_of_variance_and_a_mixed_model_agree(shape):
    scores = crossed(np.random.default_rng(shape), *shape, 2.0, 1.5)
    table = long_table(scores)
    from statsmodels.formula.api import ols
    from statsmodels.stats.anova import anova_lm

    squares = anova_lm(ols("y ~ C(a) + C(b)", table).fit())["mean_sq"]
    rest = squares["Residual"]
    expected = ((squares["C(a)"] - rest) / shape[1], (squares["C(b)"] - rest) / shape[0], rest)
    assert min(expected) > 0
    assert variance_components(scores) == pytest.approx(expected)
    model = mixed_model(scores)
    assert variance_components(scores) == pytest.approx((*model.vcomp, model.scale), rel=0.02)


def test_known_components_are_recovered():
    rng = np.random.default_rng(0)
    found = np.mean([variance_components(crossed(rng, 8, 8, 0.003, 0.002, 0.001)) for _ in range(2000)], axis=0)
    assert found == pytest.approx([9e-6, 4e-6, 1e-6], rel=0.05)


# --- notes


def test_two_purposes_crossed_share_the_spread(tmp_path):
    table = np.array([[0.90, 0.91, 0.93], [0.92, 0.935, 0.94], [0.95, 0.95, 0.975]])
    for (translator, training), score in np.ndenumerate(table):
        write_luck(tmp_path, score, translator=translator, training=training)
    # Other columns, models and data are no part of it.
    write_luck(tmp_path, 0.1, "rd")
    write_luck(tmp_path, 0.1, name="dcan", model="dcan", translator=1)
    parts = variance_components(table)
    shares = [f"{100 * part / sum(parts):.0f} %" for part in parts]
    assert shares == ["73 %", "22 %", "5 %"]
    assert notes(tmp_path) == [
        f"of the spread of RD+SD+aug over seeds (standard deviation {np.sqrt(sum(parts)):.4f} of 9 runs, 3 x 3 seeds), "
        "translator seed 73 %, training seed 22 %, their interplay 5 %"
    ]
    assert notes(tmp_path, data="mars") == notes(tmp_path, "dcan") == []


def test_one_purpose_alone_has_a_deviation(tmp_path):
    for training, score in enumerate((0.90, 0.92, 0.97)):
        write_luck(tmp_path, score, "rd", training=training)
    deviation = np.std([0.90, 0.92, 0.97], ddof=1)
    assert notes(tmp_path) == [f"RD: training seed alone makes a standard deviation of {deviation:.4f} (3 runs)"]


def test_runs_whose_seeds_move_together_say_nothing_of_single_ones(tmp_path):
    for seed in (0, 1, 2):
        write_luck(tmp_path, 0.9 + 0.01 * seed, "rd_sd_aug", seed)
        write_luck(tmp_path, 0.9 + 0.01 * seed, "rd", seed)
    assert notes(tmp_path) == []


def test_a_cut_that_varies_brings_its_own_samples(tmp_path):
    for split in (0, 1):
        for training in (0, 1):
            write_luck(tmp_path, 0.9 + 0.02 * split + 0.01 * training, "rd", split=split, training=training)
    (note,) = notes(tmp_path)
    assert note.endswith("split seed 80 %, training seed 20 %, their interplay 0 %")


def test_what_is_not_crossed_is_left_out(tmp_path):
    for translator in (0, 1, 2):
        for training in (0, 1, 2):
            if (translator, training) != (2, 2):
                write_luck(tmp_path, 0.9 + 0.01 * translator, translator=translator, training=training)
    write_luck(tmp_path, 0.5, translator=7, training=8)
    (note,) = notes(tmp_path)
    assert "of 6 runs, 2 x 3 seeds" in note or "of 6 runs, 3 x 2 seeds" in note


def test_other_settings_and_older_runs_of_the_same_seeds_take_no_part(tmp_path):
    write_luck(tmp_path, 0.1, "rd", training=1, name="older")
    for training in (0, 1, 2):
        write_luck(tmp_path, 0.9, "rd", training=training)
    short = changed(RECIPE, base__training__steps=300)
    for training in (3, 4):
        write_luck(tmp_path, 0.1, "rd", training=training, recipe=short)
    write_luck(tmp_path, 0.1, "rd", training=5, formats={"train": 9})
    assert notes(tmp_path) == ["RD: training seed alone makes a standard deviation of 0.0000 (3 runs)"]


def test_another_score_is_asked_of_the_runs_that_have_it(tmp_path):
    for training, value in enumerate((0.1, 0.3)):
        write_luck(tmp_path, 0.9, "rd", training=training, by_image={"aji": {"x": value, "y": value}})
    (note,) = notes(tmp_path, score="aji")
    assert "deviation of 0.1414 (2 runs)" in note
    assert notes(tmp_path, score="pq") == []


def test_runs_of_several_folds_are_joined(tmp_path):
    """The mean over the scans of all folds counts, each tested by the models of its own."""
    rng = np.random.default_rng(1)
    table = rng.random((3, 2, 2))
    for (fold, translator, training), score in np.ndenumerate(table):
        settings = changed(data__folds=3, data__fold=fold, data__fold_seed=0)
        about = {"settings": settings, "data_hash": f"fold {fold}", "images": {f"x{fold}": score}}
        write_luck(tmp_path, 0, name=f"{fold}{translator}{training}", translator=translator, training=training, **about)
    parts = variance_components(table.mean(axis=0))
    (note,) = notes(tmp_path)
    assert f"(standard deviation {np.sqrt(sum(parts)):.4f} of 4 runs, each of 3 of 3 folds, 2 x 2 seeds)" in note
    assert len(left_out(tmp_path)) == 1
    # Seeds that lack a fold say nothing.
    for fold in (0, 1):
        settings = changed(data__folds=3, data__fold=fold, data__fold_seed=0)
        about = {"settings": settings, "data_hash": f"fold {fold}", "images": {f"x{fold}": 0.1}}
        write_luck(tmp_path, 0, name=f"{fold}lacking", translator=0, training=7, **about)
    assert notes(tmp_path) == [note]


# --- what a table leaves out


def left_out(root):
    runs = collect_runs(root).runs
    used = [run for model in ("fcn8s", "dcan") for run in luck_of(runs, model, "smears").runs]
    return left_out_for_good(group_runs(runs, "smears"), used)


def test_runs_that_tell_whose_luck_it_is_have_one_line_of_their_own(tmp_path):
    for translator in (0, 1, 2):
        for training in (0, 1, 2):
            write_luck(tmp_path, 0.9, translator=translator, training=training)
    for training in (0, 1):
        write_luck(tmp_path, 0.9, "rd", model="dcan", name=f"dcan{training}", training=training)
    assert left_out(tmp_path) == (
        "dcan: 1 run of other seeds by purpose (training.seed) is used for whose luck it is alone",
        "fcn8s: 8 runs of other seeds by purpose (translator.seed, training.seed) are used for whose luck it is alone",
    )


def test_runs_that_luck_has_no_use_for_are_left_out_as_before(tmp_path):
    write_luck(tmp_path, 0.9, "rd")
    write_luck(tmp_path, 0.9, "rd", training=1)
    assert left_out(tmp_path) == ("fcn8s: 1 run of other seeds by purpose (training.seed) is used for whose luck it is alone",)
    # Of no layout: two purposes moved at once.
    write_luck(tmp_path, 0.9, "rd_sd_aug")
    write_luck(tmp_path, 0.9, "rd_sd_aug", translator=3, masks=4)
    (masks, told) = left_out(tmp_path)
    assert masks.startswith("fcn8s: 1 run left out, with masks.seed 4 where that of the others follows seed: rd_sd_aug_")
    assert told.startswith("fcn8s: 1 run of other seeds by purpose (training.seed) ")
