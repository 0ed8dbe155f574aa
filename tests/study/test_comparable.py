import pytest
from run_records import RECIPE, SETTINGS, changed, write_run

from rbc_lightning.core.seeds import SEED_KEYS
from rbc_lightning.study.choose import group_runs
from rbc_lightning.study.collect import collect_runs
from rbc_lightning.study.comparable import runs_asked_for


def grouped(root, data="smears"):
    return group_runs(collect_runs(root).runs, data)


def names(groups, model="fcn8s"):
    return {
        column: {seed: run.directory.name for seed, run in by_seed.items()} for column, by_seed in groups.runs[model].items()
    }


def test_runs_are_grouped_by_model_column_and_seed_in_the_order_of_the_table(tmp_path):
    for column in ("rd_sd_aug", "sd_large", "rd", "rd_aug"):
        for seed in (1, 0):
            write_run(tmp_path, f"{column}{seed}", column, seed)
    write_run(tmp_path, "other_model", "rd", model="dcan")
    groups = grouped(tmp_path)
    assert groups.data == "smears"
    assert list(groups.runs) == ["dcan", "fcn8s"]
    assert list(groups.runs["fcn8s"]) == ["rd", "rd_aug", "rd_sd_aug", "sd_large"]
    assert [list(by_seed) for by_seed in groups.runs["fcn8s"].values()] == [[0, 1]] * 4
    assert groups.left_out == ()


def test_what_recipes_leave_out_and_the_place_of_the_data_do_not_divide_runs(tmp_path):
    write_run(tmp_path, "a", "rd", 0)
    # Measured on the train split, which changes with the seed.
    write_run(tmp_path, "b", "rd", 1, settings=changed(model__task__cell_size=45.1, data__root="/there"))
    write_run(tmp_path, "c", "rd_sd", 0)
    write_run(tmp_path, "d", "rd_sd", 1, settings=changed(translator__quality__images=3, synthetic__count=1))
    groups = grouped(tmp_path)
    assert names(groups) == {"rd": {0: "a", 1: "b"}, "rd_sd": {0: "c", 1: "d"}}
    assert groups.left_out == ()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"base__training__steps": 300}, "with other settings (training.steps 300, here 600)"),
        ({"base__model__net__width": 1.0}, "with other settings (model.net.width 1.0, here 0.25)"),
        ({"base__protocol": "paper"}, "with other settings (protocol paper, here held_out)"),
        ({"base__trainer__accelerator": "gpu"}, "with other settings (trainer.accelerator gpu, here cpu)"),
        (
            {"augmented__augment__transforms__flip__p": 1.0},
            "with augmented samples made otherwise (augment.transforms.flip.p 1.0, here 0.5)",
        ),
        (
            {"synthetic__sampler__placement": "uniform"},
            "with synthetic samples made otherwise (sampler.placement uniform, here adhesion)",
        ),
        ({"synthetic__synthetic__given": True}, "with synthetic samples made otherwise (synthetic.given True, here False)"),
    ],
)
def test_a_run_with_other_settings_is_left_out_with_the_reason(tmp_path, change, message):
    for seed in (0, 1):
        write_run(tmp_path, f"rd{seed}", "rd", seed)
        write_run(tmp_path, f"all{seed}", "rd_sd_aug", seed)
    write_run(tmp_path, "stray", "rd_sd_aug", 2, recipe=changed(RECIPE, **change))
    groups = grouped(tmp_path)
    assert names(groups) == {"rd": {0: "rd0", 1: "rd1"}, "rd_sd_aug": {0: "all0", 1: "all1"}}
    (line,) = groups.left_out
    assert line.endswith(f": 1 run left out, {message}: stray; train with those of the others to compare")


def test_runs_on_other_data_of_one_name_are_left_out(tmp_path):
    for seed in (0, 1):
        write_run(tmp_path, f"rd{seed}", "rd", seed)
    write_run(tmp_path, "stray", "rd_aug", 2, settings=changed(data__validation_fraction=0.5))
    (line,) = grouped(tmp_path).left_out
    assert line == (
        "smears: 1 run left out, on other data of this name (data.validation_fraction 0.5, here 0.2): stray; "
        "stage=report data.validation_fraction=0.5 takes them instead"
    )


def test_another_translator_is_named_first(tmp_path):
    translators = [{"name": "pix2pixhd", "batch_size": 4, "crop": 256}, {"name": "pix2pix", "batch_size": 1, "crop": 9, "a": 1}]
    ours, theirs = (changed(RECIPE, synthetic__translator=translator) for translator in translators)
    for seed in (0, 1):
        write_run(tmp_path, f"all{seed}", "rd_sd_aug", seed, recipe=ours)
    write_run(tmp_path, "stray", "rd_sd_aug", 2, recipe=theirs)
    (line,) = grouped(tmp_path).left_out
    assert "with synthetic samples made otherwise (translator.name pix2pix, here pix2pixhd; translator.a 1, here null; " in line
    assert "; 1 more): stray" in line


def test_settings_of_samples_a_mix_does_not_use_do_not_divide_runs(tmp_path):
    write_run(tmp_path, "a", "rd", recipe=changed(RECIPE, augmented={}, synthetic={}))
    write_run(tmp_path, "b", "rd_aug", recipe=changed(RECIPE, synthetic={}))
    write_run(tmp_path, "c", "rd_sd_aug")
    assert names(grouped(tmp_path)) == {"rd": {0: "a"}, "rd_aug": {0: "b"}, "rd_sd_aug": {0: "c"}}


def test_the_fuller_variant_wins_and_the_newer_one_among_equals(tmp_path):
    short = changed(RECIPE, base__training__steps=300)
    write_run(tmp_path, "long0", "rd", 0)
    write_run(tmp_path, "short0", "rd", 0, recipe=short)
    assert names(grouped(tmp_path)) == {"rd": {0: "short0"}}
    write_run(tmp_path, "long1", "rd", 1)
    write_run(tmp_path, "short0_again", "rd", 0, recipe=short)
    assert names(grouped(tmp_path)) == {"rd": {0: "long0", 1: "long1"}}


def test_of_two_runs_of_one_job_the_newer_one_counts(tmp_path):
    write_run(tmp_path, "z_first", "rd")
    write_run(tmp_path, "a_second", "rd")
    groups = grouped(tmp_path)
    assert names(groups) == {"rd": {0: "a_second"}}
    assert groups.left_out == ("fcn8s: 1 run left out, made again since as a_second: z_first",)


def test_runs_of_the_ratio_sweep_come_after_plain_ones(tmp_path):
    write_run(tmp_path, "plain", "rd_sd_aug")
    for seed in (0, 1):
        write_run(tmp_path, f"ratio{seed}", "rd_sd_aug", seed, ratio=[1, 2, 1])
    groups = grouped(tmp_path)
    assert names(groups) == {"rd_sd_aug": {0: "plain"}}
    assert groups.left_out[0].startswith("2 runs with mix.ratio or data.n_real_images are not in the table")


def test_within_a_seed_samples_and_hidden_settings_must_agree(tmp_path):
    for column in ("rd", "rd_aug", "rd_sd", "rd_sd_aug"):
        write_run(tmp_path, column, column)
    write_run(tmp_path, "split", "sd", data_hash="other")
    write_run(tmp_path, "pairs", "sd_large", identity={"base": "base 0", "augmented": None, "synthetic": "another translator"})
    write_run(tmp_path, "size", "rd_large", identity={"base": "another size", "augmented": None, "synthetic": None})
    groups = grouped(tmp_path)
    assert list(names(groups)) == ["rd", "rd_aug", "rd_sd", "rd_sd_aug"]
    again = "train again (rerun=true) to compare"
    assert groups.left_out == (
        f"smears, seed 0: 1 run left out, on other samples or splits: split; {again}",
        f"fcn8s, seed 0: 1 run left out, trained from other files or sizes though settings agree: size; {again}",
        f"fcn8s, seed 0: 1 run left out, with other synthetic samples though settings agree: pairs; {again}",
    )


def test_other_test_images_or_other_cells_in_them_are_other_data(tmp_path):
    for seed in (0, 1):
        write_run(tmp_path, f"a{seed}", "rd", seed)
    write_run(tmp_path, "b", "rd_aug", images={"x": 0.9})
    write_run(tmp_path, "c", "rd_sd")
    text = (tmp_path / "c" / "per_image.csv").read_text()
    (tmp_path / "c" / "per_image.csv").write_text(text.replace("7.0", "8.0"))
    groups = grouped(tmp_path)
    assert list(names(groups)) == ["rd"]
    told = "smears: 1 run left out, on other data of this name"
    remedy = "the files have changed between: train again, or keep either in a runs_dir of its own"
    assert sorted(groups.left_out) == [
        f"{told} (1 of 1 test images are among the 2 here): b; {remedy}",
        f"{told} (other objects in the same test images): c; {remedy}",
    ]


def test_one_data_set_at_a_time(tmp_path):
    write_run(tmp_path, "a", "rd")
    write_run(tmp_path, "b", "rd", data="phantom")
    write_run(tmp_path, "c", "other")
    assert grouped(tmp_path, "mars").runs == {}
    assert names(grouped(tmp_path, "phantom")) == {"rd": {0: "b"}}
    assert grouped(tmp_path, "smears").left_out == ("all models: 1 run left out, with a mix that is none of the columns: c",)


def test_one_run_of_another_sweep_or_protocol_hides_nothing(tmp_path):
    for column in ("rd", "rd_aug", "rd_sd_aug"):
        write_run(tmp_path, column, column)
    # Mixed by a ratio, in the same group; and newer, on another split, alone.
    write_run(tmp_path, "by_ratio", "rd_sd_aug", ratio=[1, 2, 1])
    write_run(tmp_path, "paper", "rd_aug", recipe=changed(RECIPE, base__protocol="paper"), data_hash="all of train")
    groups = grouped(tmp_path)
    assert names(groups) == {column: {0: column} for column in ("rd", "rd_aug", "rd_sd_aug")}
    assert any("paper" in line for line in groups.left_out)


# --- seeds by purpose


def write_seeded(root, name, column, seed=0, data_hash=None, **own):
    """A run whose seeds of some purposes do not follow `seed`; its identities follow from all of them, as real ones do."""
    seeds = dict.fromkeys(SEED_KEYS, seed) | own
    base, pairs = f"base {seeds['training']}", f"pairs {seeds['masks']} {seeds['translator']} {seeds['synthetic']}"
    identity = {"base": base, "augmented": "a" if "aug" in column else None, "synthetic": pairs if "sd" in column else None}
    settings = changed(data__split_seed=seeds["split"])
    data_hash = data_hash or f"d{seeds['split']}"
    write_run(root, name, column, seed, settings=settings, identity=identity, seeds=seeds, data_hash=data_hash)


def test_one_split_for_all_seeds_keeps_them_all(tmp_path):
    for seed in (0, 1, 2):
        for column in ("rd", "rd_sd_aug"):
            write_seeded(tmp_path, f"{column}{seed}", column, seed, split=0)
    groups = grouped(tmp_path)
    assert names(groups) == {column: {s: f"{column}{s}" for s in (0, 1, 2)} for column in ("rd", "rd_sd_aug")}
    assert groups.left_out == ()


@pytest.mark.parametrize("purpose", SEED_KEYS)
def test_another_luck_is_no_replicate_and_replaces_nothing(tmp_path, purpose):
    for seed in (0, 1):
        write_seeded(tmp_path, f"rd{seed}", "rd", seed)
        write_seeded(tmp_path, f"all{seed}", "rd_sd_aug", seed)
    # Newer, and more of them.
    for value in (3, 4, 5):
        write_seeded(tmp_path, f"luck{value}", "rd_sd_aug", 0, **{purpose: value})
    groups = grouped(tmp_path)
    assert names(groups) == {"rd": {0: "rd0", 1: "rd1"}, "rd_sd_aug": {0: "all0", 1: "all1"}}
    (line,) = groups.left_out
    where = "smears" if purpose == "split" else "fcn8s"
    own = f"{SEED_KEYS[purpose]} 3, 4, 5 where that of the others follows seed"
    remedy = f"for more runs to compare vary seed, not {SEED_KEYS[purpose]}"
    assert line == f"{where}: 3 runs left out, with {own}: luck3 and 2 more; {remedy}"


def test_a_sweep_over_luck_leaves_the_ordinary_run_in_the_table(tmp_path):
    for translator in (0, 1, 2):
        for training in (0, 1, 2):
            write_seeded(tmp_path, f"l{translator}{training}", "rd_sd_aug", 0, translator=translator, training=training)
    groups = grouped(tmp_path)
    assert names(groups) == {"rd_sd_aug": {0: "l00"}}
    assert [line.split(" where ")[0] for line in groups.left_out] == [
        "fcn8s: 6 runs left out, with training.seed 1, 2",
        "fcn8s: 2 runs left out, with translator.seed 1, 2",
    ]


def test_one_translator_for_all_seeds_is_taken_where_it_has_more_runs(tmp_path):
    for seed in (0, 1, 2):
        write_seeded(tmp_path, f"rd{seed}", "rd", seed)
        write_seeded(tmp_path, f"one{seed}", "rd_sd", seed, translator=7)
    write_seeded(tmp_path, "stray", "rd_sd", 1)
    groups = grouped(tmp_path)
    assert names(groups) == {"rd": {s: f"rd{s}" for s in (0, 1, 2)}, "rd_sd": {s: f"one{s}" for s in (0, 1, 2)}}
    (line,) = groups.left_out
    own = "with translator.seed 1 where that of the others is 7: stray"
    assert line == f"fcn8s: 1 run left out, {own}; for more runs to compare take translator.seed=7"


def test_a_seed_that_cuts_nothing_divides_no_runs(tmp_path):
    """The data set has a validation split of its own."""
    for seed in (0, 1, 2):
        write_seeded(tmp_path, f"rd{seed}", "rd", seed, split=5 if seed else 0, data_hash="all")
    assert names(grouped(tmp_path)) == {"rd": {0: "rd0", 1: "rd1", 2: "rd2"}}


def test_runs_made_under_one_seed_follow_it(tmp_path):
    write_run(tmp_path, "old", "rd_sd", 1)
    write_seeded(tmp_path, "new", "rd_sd", 0)
    assert names(grouped(tmp_path)) == {"rd_sd": {0: "new", 1: "old"}}


def grown(total, per_real):
    """Record and settings of a run whose mix was configured with 8 samples and made with `total`."""
    mix = {"real": 4, "synthetic": 0, "augmented": total - 4, "total": total}
    return {"mix": mix, "settings": {**SETTINGS, "scale": {"large": 8, "large_per_real": per_real}}}


def test_mixes_that_grew_by_another_rule_are_no_one_mix(tmp_path):
    """Their configured totals are the same, 8, and seed by seed nobody saw 10 samples beside 40."""
    for seed in (0, 1):
        write_run(tmp_path, f"a{seed}", "rd_aug", seed, **grown(10, 2.5))
    write_run(tmp_path, "stray", "rd_aug", 2, **grown(40, 10))
    groups = grouped(tmp_path)
    assert names(groups) == {"rd_aug": {0: "a0", 1: "a1"}}
    (line,) = groups.left_out
    assert line.startswith("fcn8s, RD+aug: 1 run left out, with another mix (scale.large_per_real 10, here 2.5): stray; ")


def test_a_rule_that_changed_no_mix_divides_no_runs_and_totals_may_follow_the_seed(tmp_path):
    for seed, (total, per_real) in enumerate([(8, 1.5), (8, 2), (8, None)]):
        write_run(tmp_path, f"a{seed}", "rd_aug", seed, **grown(total, per_real))
    # Validation leaves four real images to one seed and five to another.
    for seed, total in enumerate((8, 10)):
        write_run(tmp_path, f"b{seed}", "rd_aug", seed, model="dcan", **grown(total, 2))
    groups = grouped(tmp_path)
    assert names(groups) == {"rd_aug": {0: "a0", 1: "a1", 2: "a2"}}
    assert names(groups, "dcan") == {"rd_aug": {0: "b0", 1: "b1"}}
    assert groups.left_out == ()


# --- several data sets of one name


def test_of_two_data_sets_of_one_name_that_with_the_settings_asked_for_is_taken(tmp_path):
    for seed in (0, 1):
        write_run(tmp_path, f"all{seed}", "rd", seed)
        write_run(tmp_path, f"elsewhere{seed}", "rd", seed, data="phantom")
    write_run(tmp_path, "few", "rd", settings=changed(data__slices_per_patient=5))
    runs = collect_runs(tmp_path).runs
    few, notes = runs_asked_for(runs, "smears", {"data.slices_per_patient": 5, "data.root": "/there", "data.fold": 1})
    assert [run.directory.name for run in few if run.data == "smears"] == ["few"]
    assert sum(run.data == "phantom" for run in few) == 2
    assert notes == ["smears: not used, on other data of this name: 2 finished runs without data.slices_per_patient=5"]
    every, notes = runs_asked_for(runs, "smears", {"data.slices_per_patient": None, "data.name": "smears"})
    assert {run.directory.name for run in every if run.data == "smears"} == {"all0", "all1"}
    every, notes = runs_asked_for(runs, "smears", {"data.slices_per_patient": 7})
    assert every == list(runs)
    told = "data.slices_per_patient=7 (5, null), in brackets what they have; that chooses nothing"
    assert notes == [f"smears: no finished run has {told}"]
