import pytest
from run_records import RECIPE, SETTINGS, changed, write_floor, write_run

from rbc_lightning.study.choose import group_runs, ratio_runs, real_images_runs, real_patients_runs, runs_beside
from rbc_lightning.study.collect import collect_runs


def mix_of(synthetic, real=4, total=40):
    return {"real": real, "synthetic": synthetic, "augmented": total - real - synthetic, "total": total}


def write_ratio(root, synthetic, seed=0, name=None, **changes):
    column = {0: "rd_aug", 36: "rd_sd"}.get(synthetic, "rd_sd_aug")
    ratio = [4, synthetic, 36 - synthetic]
    write_run(root, name or f"s{synthetic}_{seed}", column, seed, **{"ratio": ratio, "mix": mix_of(synthetic), **changes})


def write_real(root, count, column, seed=0, name=None, n_train=48, **changes):
    settings = changed(data__n_real_images=count)
    number = count or n_train
    mix = {"real": number, "synthetic": 2 * ("sd" in column), "augmented": 2 * ("aug" in column)}
    record = {"mix": mix, "data_hash": f"d{count}_{seed}", **changes}
    write_run(root, name or f"n{count}_{column}_{seed}", column, seed, settings=settings, **record)


def filed(sweep):
    return {
        x: {column: [run.directory.name for run in by_seed.values()] for column, by_seed in columns.items()}
        for x, columns in sweep.points.items()
    }


# --- Table 2 beside the other sweeps


def test_table_2_takes_runs_on_all_images_however_many_there_are_on_fewer(tmp_path):
    for column in ("rd", "rd_aug", "rd_sd_aug"):
        write_real(tmp_path, None, column)
        for count in (5, 10):
            for seed in (0, 1, 2):
                write_real(tmp_path, count, column, seed)
    groups = group_runs(collect_runs(tmp_path).runs, "smears")
    kept = {column: [run.directory.name for run in by_seed.values()] for column, by_seed in groups.runs["fcn8s"].items()}
    assert kept == {column: [f"nNone_{column}_0"] for column in ("rd", "rd_aug", "rd_sd_aug")}
    note = "18 runs with mix.ratio or data.n_real_images are not in the table; their sweeps have curves"
    assert groups.left_out == (note,)


def test_without_runs_on_all_images_table_2_takes_the_fullest_number(tmp_path):
    write_real(tmp_path, 5, "rd")
    for column in ("rd", "rd_aug"):
        write_real(tmp_path, 10, column)
    groups = group_runs(collect_runs(tmp_path).runs, "smears")
    assert list(groups.runs["fcn8s"]) == ["rd", "rd_aug"]


def test_a_mix_by_ratio_does_not_stand_for_a_column_that_was_not_run(tmp_path):
    for column in ("rd", "rd_aug"):
        write_run(tmp_path, column, column)
    write_ratio(tmp_path, 36)
    groups = group_runs(collect_runs(tmp_path).runs, "smears")
    assert list(groups.runs["fcn8s"]) == ["rd", "rd_aug"]
    note = "1 runs with mix.ratio or data.n_real_images are not in the table; their sweeps have curves"
    assert groups.left_out == (note,)


def test_mixes_by_ratio_alone_make_a_table(tmp_path):
    for synthetic in (0, 36):
        write_ratio(tmp_path, synthetic)
    groups = group_runs(collect_runs(tmp_path).runs, "smears")
    assert list(groups.runs["fcn8s"]) == ["rd_aug", "rd_sd"]


# --- along a ratio


def test_a_ratio_files_its_runs_by_the_share_of_synthetic_samples(tmp_path):
    for synthetic in (36, 0, 9):
        for seed in (1, 0):
            write_ratio(tmp_path, synthetic, seed)
    write_run(tmp_path, "table2", "rd_sd_aug")
    (sweep,) = ratio_runs(collect_runs(tmp_path).runs, "smears")
    assert (sweep.model, sweep.everything, sweep.left_out) == ("fcn8s", None, ())
    assert filed(sweep) == {
        0.0: {"rd_aug": ["s0_0", "s0_1"]},
        9 / 40: {"rd_sd_aug": ["s9_0", "s9_1"]},
        36 / 40: {"rd_sd": ["s36_0", "s36_1"]},
    }
    assert list(sweep.points) == sorted(sweep.points)
    assert ratio_runs(collect_runs(tmp_path).runs, "mars") == ()


def test_mixes_of_another_total_or_with_more_real_samples_are_another_ratio(tmp_path):
    for synthetic in (0, 9):
        write_ratio(tmp_path, synthetic)
    write_ratio(tmp_path, 9, 1, "more_real", mix=mix_of(9, real=10))
    write_ratio(tmp_path, 9, 1, "longer", mix=mix_of(9, total=80))
    (sweep,) = ratio_runs(collect_runs(tmp_path).runs, "smears")
    assert filed(sweep) == {0.0: {"rd_aug": ["s0_0"]}, 9 / 40: {"rd_sd_aug": ["s9_0"]}}
    assert sorted(line.split(": ")[-1].split("; ")[0] for line in sweep.left_out) == ["longer", "more_real"]
    assert all("fcn8s: 1 run left out, with another mix (" in line for line in sweep.left_out)


def test_along_a_ratio_settings_and_samples_must_agree(tmp_path):
    for synthetic in (0, 9, 36):
        write_ratio(tmp_path, synthetic)
    write_ratio(tmp_path, 9, 1, "short", recipe=changed(RECIPE, base__training__steps=300))
    write_ratio(tmp_path, 36, 0, "split", data_hash="other")
    write_ratio(tmp_path, 0, 1, "fewer", settings=changed(data__n_real_images=5))
    (sweep,) = ratio_runs(collect_runs(tmp_path).runs, "smears")
    assert [run for column in filed(sweep).values() for runs in column.values() for run in runs] == ["s0_0", "s9_0", "s36_0"]
    assert sorted(line.split(": ")[-1].split("; ")[0] for line in sweep.left_out) == ["fewer", "short", "split"]


# --- along the number of real images


def test_numbers_of_real_images_are_filed_with_all_of_them_at_their_own(tmp_path):
    for count in (None, 20, 5):
        for column in ("rd_sd_aug", "rd"):
            for seed in (0, 1):
                # Shape bank, translator and cell size differ with the images, and with them the hash of the settings.
                identity = {"base": f"b{count}{seed}", "augmented": "a", "synthetic": f"s{count}{seed}"}
                write_real(tmp_path, count, column, seed, identity=identity)
    write_run(tmp_path, "table2", "rd_sd")
    (sweep,) = real_images_runs(collect_runs(tmp_path).runs, "smears")
    assert sweep.everything == 48
    assert sweep.left_out == ()
    assert filed(sweep) == {
        x: {column: [f"n{count}_{column}_0", f"n{count}_{column}_1"] for column in ("rd", "rd_sd_aug")}
        for x, count in ((5.0, 5), (20.0, 20), (48.0, None))
    }


def test_numbers_of_patients_are_a_sweep_of_their_own(tmp_path):
    """All of them stand at the number of patients that they were trained on; runs on fewer images are none of it."""
    for count in (1, 3, None):
        settings, groups = changed(data__n_real_patients=count), {"train": count or 7, "val": 2}
        for seed in (0, 1):
            record = {"settings": settings, "groups": groups, "data_hash": f"p{count}_{seed}"}
            write_run(tmp_path, f"n{count}_rd_{seed}", "rd", seed, **record)
    write_real(tmp_path, 5, "rd")
    runs = collect_runs(tmp_path).runs
    (sweep,) = real_patients_runs(runs, "smears")
    assert sweep.everything == 7
    assert filed(sweep) == {x: {"rd": [f"n{n}_rd_0", f"n{n}_rd_1"]} for x, n in ((1.0, 1), (3.0, 3), (7.0, None))}
    table = group_runs(runs, "smears")
    assert [run.directory.name for run in table.every()] == ["nNone_rd_0", "nNone_rd_1"]
    assert "5 runs with mix.ratio or data.n_real_images or data.n_real_patients are not in the table" in table.left_out[0]
    (of_images,) = real_images_runs(runs, "smears")
    assert 1.0 not in of_images.points


def test_a_number_that_is_all_images_and_all_images_are_one_place(tmp_path):
    write_real(tmp_path, 5, "rd")
    write_real(tmp_path, 48, "rd", 0, data_hash="whole")
    write_real(tmp_path, None, "rd", 1, data_hash="whole")
    (sweep,) = real_images_runs(collect_runs(tmp_path).runs, "smears")
    assert filed(sweep) == {5.0: {"rd": ["n5_rd_0"]}, 48.0: {"rd": ["n48_rd_0", "nNone_rd_1"]}}


def test_the_sweep_decides_over_a_larger_table_with_other_settings(tmp_path):
    for column in ("rd", "rd_aug", "rd_sd_aug"):
        for seed in (0, 1, 2):
            write_real(tmp_path, None, column, seed)
        write_real(tmp_path, 5, column, recipe=changed(RECIPE, base__training__steps=300))
    (sweep,) = real_images_runs(collect_runs(tmp_path).runs, "smears")
    assert list(sweep.points) == [5.0]
    assert sweep.everything is None
    assert "9 runs left out, with other settings (training.steps 600, here 300)" in sweep.left_out[0]


def test_runs_on_all_images_alone_are_no_sweep(tmp_path):
    for column in ("rd", "rd_aug", "rd_sd_aug"):
        write_real(tmp_path, None, column)
    assert real_images_runs(collect_runs(tmp_path).runs, "smears") == ()


@pytest.mark.parametrize("column", ["sd", "rd_sd", "rd_large"])
def test_columns_beside_the_three_have_no_place(tmp_path, column):
    write_real(tmp_path, 5, "rd")
    write_real(tmp_path, 5, column)
    (sweep,) = real_images_runs(collect_runs(tmp_path).runs, "smears")
    assert filed(sweep) == {5.0: {"rd": ["n5_rd_0"]}}


# --- beside one run


def beside(root, name):
    runs = collect_runs(root).runs
    (run,) = (run for run in runs if run.directory.name == name)
    return {column: other.directory.name for column, other in runs_beside(run, runs).items()}


def write_table(root):
    """Runs of which some agree with most of the others and some do not."""
    for seed in (0, 1):
        for column in ("rd", "sd", "rd_aug", "rd_sd_aug"):
            write_run(root, f"{column}_{seed}", column, seed)
    write_run(root, "short", "rd_sd", 0, recipe=changed(RECIPE, base__training__steps=300))
    write_run(root, "placed", "rd_sd", 0, recipe=changed(RECIPE, synthetic__sampler__placement="uniform"))
    write_run(root, "split", "rd_sd", 0, data_hash="other")
    write_run(root, "pairs", "rd_sd", 0, identity={"base": "base 0", "augmented": None, "synthetic": "other bytes"})
    write_run(root, "sized", "rd_sd", 1, identity={"base": "other size", "augmented": None, "synthetic": "synthetic 1"})
    write_run(root, "model", "rd_sd", 0, model="unet")
    write_run(root, "data", "rd_sd", 0, data="elsewhere")


@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize("column", ["rd", "sd", "rd_aug", "rd_sd_aug"])
def test_beside_each_run_of_a_table_stand_the_runs_of_that_table(tmp_path, column, seed):
    write_table(tmp_path)
    table = group_runs(collect_runs(tmp_path).runs, "smears").runs["fcn8s"]
    kept = {name: by_seed[seed].directory.name for name, by_seed in table.items() if seed in by_seed}
    assert len(kept) == 4
    assert beside(tmp_path, f"{column}_{seed}") == kept


def test_a_run_that_the_table_leaves_out_has_those_beside_it_that_agree_with_it(tmp_path):
    write_table(tmp_path)
    for name in ("short", "split", "sized"):
        assert beside(tmp_path, name) == {"rd_sd": name}
    # Without synthetic samples nothing divides a run from one with others.
    assert beside(tmp_path, "placed") == {"rd": "rd_0", "rd_aug": "rd_aug_0", "rd_sd": "placed"}
    assert beside(tmp_path, "pairs") == {"rd": "rd_0", "rd_aug": "rd_aug_0", "rd_sd": "pairs"}


def test_beside_a_run_on_real_images_stands_one_translator(tmp_path):
    old, new = (changed(RECIPE, synthetic__translator__crop=crop) for crop in (64, 128))
    write_run(tmp_path, "a", "rd_sd", recipe=old)
    write_run(tmp_path, "b", "sd", recipe=old)
    write_run(tmp_path, "c", "rd_sd", recipe=new)
    write_run(tmp_path, "own", "rd")
    # The translator with runs of more columns, or the newer one among equals.
    assert beside(tmp_path, "own") == {"rd": "own", "sd": "b", "rd_sd": "a"}
    write_run(tmp_path, "d", "sd", recipe=new)
    assert beside(tmp_path, "own") == {"rd": "own", "sd": "d", "rd_sd": "c"}


def test_mixes_by_ratio_and_plain_ones_do_not_stand_beside_each_other(tmp_path):
    write_run(tmp_path, "a", "rd_sd", ratio=[4, 36, 0])
    write_run(tmp_path, "b", "rd_aug")
    write_run(tmp_path, "plain", "rd")
    write_run(tmp_path, "mixed", "rd_sd_aug", ratio=[4, 18, 18])
    assert set(beside(tmp_path, "plain")) == {"rd", "rd_aug"}
    assert set(beside(tmp_path, "mixed")) == {"rd_sd", "rd_sd_aug"}


def test_a_mix_that_is_no_column_stands_for_itself(tmp_path):
    write_run(tmp_path, "rd", "rd")
    write_run(tmp_path, "own", "other")
    assert beside(tmp_path, "own") == {"rd": "rd", "other": "own"}
    assert beside(tmp_path, "rd") == {"rd": "rd"}


# --- the floor


def test_a_floor_on_the_very_data_of_a_seed_stands_below_its_columns(tmp_path):
    for seed in (0, 1):
        write_run(tmp_path, f"rd{seed}", "rd", seed)
        write_floor(tmp_path, f"floor{seed}", seed)
    # A seed that no column has, other splits, other data, and an older run of the same.
    write_floor(tmp_path, "seed2", 2)
    write_floor(tmp_path, "splits", 1, data_hash="of fewer images")
    write_floor(tmp_path, "elsewhere", 0, data="elsewhere", data_hash="e")
    groups = group_runs(collect_runs(tmp_path).runs, "smears")
    assert {seed: run.directory.name for seed, run in groups.floor.items()} == {0: "floor0", 1: "floor1"}
    assert [run.directory.name for run in groups.every()] == ["rd0", "rd1"]
    assert groups.left_out == ()


def test_a_floor_is_of_one_model_and_its_settings(tmp_path):
    write_run(tmp_path, "rd0", "rd")
    write_run(tmp_path, "rd1", "rd", 1)
    for seed in (0, 1):
        write_floor(tmp_path, f"floor{seed}", seed)
    write_floor(tmp_path, "otsu", 1, recipe=changed(RECIPE, base={"model": {"task": {"min_area": 9}}}))
    groups = group_runs(collect_runs(tmp_path).runs, "smears")
    assert {seed: run.directory.name for seed, run in groups.floor.items()} == {0: "floor0", 1: "floor1"}
    assert groups.left_out == (
        "without training: 1 run left out, with other settings (model.task.min_area 9, here null): otsu; train with those of "
        "the others to compare",
    )


def test_floors_choose_no_runs_and_are_none_of_the_columns(tmp_path):
    """A floor made by a job of a sweep bears that sweep's settings, which had no effect on it."""
    write_run(tmp_path, "old", "rd")
    write_run(tmp_path, "new", "rd", recipe=changed(RECIPE, base__training__steps=300))
    for name in ("a", "b", "c"):
        write_floor(tmp_path, name, ratio=[4, 0, 36])
    runs = collect_runs(tmp_path).runs
    with_floors, without = (group_runs(some, "smears") for some in (runs, [run for run in runs if run.column == "rd"]))
    # Of floors that are alike nothing is left out.
    assert (with_floors.runs, with_floors.left_out) == (without.runs, without.left_out)
    assert with_floors.floor[0].directory.name == "c"
    assert ratio_runs(runs, "smears") == real_images_runs(runs, "smears") == ()
    assert group_runs([run for run in runs if run.column != "rd"], "smears").floor == {}


# --- several generators


def test_of_several_generators_each_has_a_row_with_the_same_runs_on_real_images(tmp_path):
    paste = SETTINGS | {"pairs": {"_target_": "rbc_lightning.pairs.lesion_paste.LesionPastePairs"}}
    for column in ("rd", "rd_sd", "rd_sd_aug"):
        write_run(tmp_path, column, column)
    write_run(tmp_path, "paste", "rd_sd", settings=paste, recipe=changed(RECIPE, synthetic={"source": "LesionPastePairs"}))
    groups = group_runs(collect_runs(tmp_path).runs, "smears")
    found = {row: {column: runs[0].directory.name for column, runs in columns.items()} for row, columns in groups.runs.items()}
    assert found == {
        "fcn8s, lesion_paste": {"rd": "rd", "rd_sd": "paste"},
        "fcn8s, pix2pixhd": {"rd": "rd", "rd_sd": "rd_sd", "rd_sd_aug": "rd_sd_aug"},
    }
    assert groups.left_out == ()
    assert sorted(run.directory.name for run in groups.every()) == ["paste", "rd", "rd_sd", "rd_sd_aug"]
    assert [groups.model_of(row) for row in groups.runs] == ["fcn8s", "fcn8s"]
    mine = groups.of_row("fcn8s, lesion_paste", groups.every())
    assert sorted(run.directory.name for run in mine) == ["paste", "rd"]


def test_along_a_sweep_each_generator_has_a_curve(tmp_path):
    for generator in ("a", "b"):
        settings = changed(SETTINGS, data__n_real_images=4, translator__name=generator)
        recipe = changed(RECIPE, synthetic__translator={"name": generator})
        write_run(tmp_path, generator, "rd_sd_aug", settings=settings, recipe=recipe)
    write_run(tmp_path, "rd", "rd", settings=changed(SETTINGS, data__n_real_images=4))
    found = real_images_runs(collect_runs(tmp_path).runs, "smears")
    columns = {"rd", "rd_sd_aug"}
    assert {of.model: set(of.points[4]) for of in found} == {"fcn8s, a": columns, "fcn8s, b": columns}
