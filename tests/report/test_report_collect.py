import json

import pytest
from run_records import changed, write_run

from rbc_lightning.report.choose import group_runs
from rbc_lightning.report.collect import collect_runs, paired_scores


def grouped(root, data=None):
    return group_runs(collect_runs(root).runs, data)


def names(groups, model="fcn8s"):
    return {
        column: {seed: run.directory.name for seed, run in by_seed.items()} for column, by_seed in groups.runs[model].items()
    }


def test_a_run_holds_its_scores_and_its_flat_settings(tmp_path):
    write_run(tmp_path, "a", "rd_aug", 3)
    (run,) = collect_runs(tmp_path).runs
    assert (run.model, run.column, run.seed, run.score) == ("fcn8s", "rd_aug", 3, "dice")
    assert run.per_image == {"x": {"dice": 0.9, "n_true": 7}, "y": {"dice": 0.8, "n_true": 7}}
    assert run.settings["training.steps"] == 600
    assert run.settings["model.task.learning_rate"] == 0.002


def test_what_cannot_be_read_is_named_and_what_is_not_finished_is_no_run(tmp_path):
    write_run(tmp_path, "good", "rd")
    for name in ("torn", "no_scores", "no_config", "old", "twice", "text"):
        write_run(tmp_path, name, "rd")
    (tmp_path / "torn" / "metrics.json").write_text("{")
    (tmp_path / "no_scores" / "per_image.csv").write_text("sample_id,iou\nx,0.5\n")
    (tmp_path / "no_config" / "config.yaml").unlink()
    (tmp_path / "old" / "metrics.json").write_text(json.dumps({"column": "rd", "model": "fcn8s"}))
    (tmp_path / "twice" / "per_image.csv").write_text("sample_id,dice\nx,0.5\nx,0.6\n")
    (tmp_path / "text" / "config.yaml").write_text("only words")
    (tmp_path / "unfinished").mkdir()
    found = collect_runs(tmp_path)
    assert [run.directory.name for run in found.runs] == ["good"]
    assert [line.split(":")[0] for line in found.unreadable] == ["no_config", "no_scores", "old", "text", "torn", "twice"]
    assert "metrics.json lacks seed, data" in found.unreadable[2]
    assert "per_image.csv has no dice for each test image" in found.unreadable[1]
    assert all("\n" not in line for line in found.unreadable)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"mix": {"real": 4}}, "lacks mix.synthetic, mix.augmented"),
        ({"identity": {"base": "b"}}, "lacks identity.augment, identity.synthetic"),
        ({"seed": None}, "lacks a seed"),
        ({"test/dice": None}, "TypeError"),
    ],
)
def test_a_record_without_what_a_table_asks_for_is_named(tmp_path, change, told):
    write_run(tmp_path, "good", "rd")
    write_run(tmp_path, "bad", "rd", **{"seed": 0, **change})
    found = collect_runs(tmp_path)
    assert [run.directory.name for run in found.runs] == ["good"]
    assert told in found.unreadable[0]


def test_a_missing_directory_is_told(tmp_path):
    with pytest.raises(ValueError, match=r"nowhere: no such directory; .* set runs_dir"):
        collect_runs(tmp_path / "nowhere")


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


def test_values_measured_on_the_train_split_and_the_place_of_the_data_do_not_divide_runs(tmp_path):
    write_run(tmp_path, "a", "rd", 0)
    write_run(tmp_path, "b", "rd", 1, settings=changed(model__task__cell_size=45.1, data__root="/there"))
    # How quality is looked at, and how many samples a mask sheet shows, decide nothing.
    write_run(tmp_path, "c", "rd_sd", 0)
    write_run(tmp_path, "d", "rd_sd", 1, settings=changed(translator__quality__images=3, synthetic__count=1))
    groups = grouped(tmp_path)
    assert names(groups) == {"rd": {0: "a", 1: "b"}, "rd_sd": {0: "c", 1: "d"}}
    assert groups.left_out == ()


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"training__steps": 300}, "with other settings (training.steps 300 instead of 600)"),
        ({"model__net__width": 1.0}, "with other settings (model.net.width 1.0 instead of 0.25)"),
        ({"protocol": "paper"}, "with other settings (protocol paper instead of held_out)"),
        ({"trainer__accelerator": "gpu"}, "with other settings (trainer.accelerator gpu instead of cpu)"),
        ({"augment__transforms__flip__p": 1.0}, "with other augmented samples (augment.transforms.flip.p 1.0 instead of 0.5)"),
        ({"sampler__placement": "uniform"}, "with other synthetic samples (sampler.placement uniform instead of adhesion)"),
        ({"synthetic__path": "/given"}, "with other synthetic samples (synthetic.path True instead of False)"),
        ({"data__validation_fraction": 0.5}, "on other data (data.validation_fraction 0.5 instead of 0.2)"),
    ],
)
def test_a_run_with_other_settings_is_left_out_and_told(tmp_path, change, told):
    for seed in (0, 1):
        write_run(tmp_path, f"rd{seed}", "rd", seed)
        write_run(tmp_path, f"all{seed}", "rd_sd_aug", seed)
    write_run(tmp_path, "stray", "rd_sd_aug", 2, settings=changed(**change))
    groups = grouped(tmp_path)
    assert names(groups) == {"rd": {0: "rd0", 1: "rd1"}, "rd_sd_aug": {0: "all0", 1: "all1"}}
    (line,) = groups.left_out
    assert f"left out 1 run {told}: stray" in line


def test_another_translator_is_told_by_its_name_first(tmp_path):
    for seed in (0, 1):
        write_run(tmp_path, f"all{seed}", "rd_sd_aug", seed)
    other = changed(translator={"name": "pix2pix", "path": None, "batch_size": 1, "candidates": 0, "choose": "last", "crop": 9})
    write_run(tmp_path, "stray", "rd_sd_aug", 2, settings=other)
    (line,) = grouped(tmp_path).left_out
    assert "with other synthetic samples (translator.name pix2pix instead of pix2pixhd; " in line


def test_settings_of_samples_a_mix_does_not_use_do_not_divide_runs(tmp_path):
    write_run(tmp_path, "a", "rd", settings=changed(augment__transforms__flip__p=1.0, sampler__placement="uniform"))
    write_run(tmp_path, "b", "rd_aug", settings=changed(sampler__placement="uniform"))
    write_run(tmp_path, "c", "rd_sd_aug")
    assert names(grouped(tmp_path)) == {"rd": {0: "a"}, "rd_aug": {0: "b"}, "rd_sd_aug": {0: "c"}}


def test_the_fuller_variant_wins_and_the_newer_one_among_equals(tmp_path):
    short = changed(training__steps=300)
    write_run(tmp_path, "long0", "rd", 0)
    write_run(tmp_path, "short0", "rd", 0, settings=short)
    assert names(grouped(tmp_path)) == {"rd": {0: "short0"}}
    write_run(tmp_path, "long1", "rd", 1)
    write_run(tmp_path, "short0_again", "rd", 0, settings=short)
    assert names(grouped(tmp_path)) == {"rd": {0: "long0", 1: "long1"}}


def test_of_two_runs_of_one_cell_the_newer_one_counts(tmp_path):
    write_run(tmp_path, "z_first", "rd")
    write_run(tmp_path, "a_second", "rd")
    groups = grouped(tmp_path)
    assert names(groups) == {"rd": {0: "a_second"}}
    assert groups.left_out == ("fcn8s: left out 1 run older than a_second: z_first",)


def test_runs_of_the_ratio_sweep_come_after_plain_ones(tmp_path):
    write_run(tmp_path, "plain", "rd_sd_aug")
    for seed in (0, 1):
        write_run(tmp_path, f"ratio{seed}", "rd_sd_aug", seed, ratio=[1, 2, 1])
    groups = grouped(tmp_path)
    assert names(groups) == {"rd_sd_aug": {0: "plain"}}
    assert "RD+SD+aug: left out 2 runs with another mix (mix.ratio [1, 2, 1] instead of None)" in groups.left_out[0]


def test_within_a_seed_samples_and_hidden_settings_must_agree(tmp_path):
    for column in ("rd", "rd_aug", "rd_sd", "rd_sd_aug"):
        write_run(tmp_path, column, column)
    write_run(tmp_path, "split", "sd", data_hash="other")
    write_run(tmp_path, "pairs", "sd_large", identity={"base": "b0", "augment": None, "synthetic": "another translator"})
    write_run(tmp_path, "size", "rd_large", identity={"base": "another size", "augment": None, "synthetic": None})
    groups = grouped(tmp_path)
    assert list(names(groups)) == ["rd", "rd_aug", "rd_sd", "rd_sd_aug"]
    assert [line.split(" run ")[1].split(" (")[0] for line in groups.left_out] == [
        "on other samples or splits",
        "with another identity.base",
        "with another identity.synthetic",
    ]


def test_other_test_images_or_other_cells_in_them_are_other_data(tmp_path):
    for seed in (0, 1):
        write_run(tmp_path, f"a{seed}", "rd", seed)
    write_run(tmp_path, "b", "rd_aug", images={"x": 0.9})
    write_run(tmp_path, "c", "rd_sd")
    text = (tmp_path / "c" / "per_image.csv").read_text()
    (tmp_path / "c" / "per_image.csv").write_text(text.replace("7.0", "8.0"))
    groups = grouped(tmp_path)
    assert list(names(groups)) == ["rd"]
    assert all("smears: left out 1 run on other data" in line for line in groups.left_out)


def test_one_data_set_at_a_time(tmp_path):
    write_run(tmp_path, "a", "rd")
    write_run(tmp_path, "b", "rd", data="phantom")
    write_run(tmp_path, "c", "other")
    with pytest.raises(ValueError, match=r"several data sets \(phantom, smears\)"):
        grouped(tmp_path)
    with pytest.raises(ValueError, match="no finished runs on mars; found data sets: phantom, smears"):
        grouped(tmp_path, "mars")
    with pytest.raises(ValueError, match="no finished runs; found data sets: none"):
        group_runs([])
    assert names(grouped(tmp_path, "phantom")) == {"rd": {0: "b"}}
    assert grouped(tmp_path, "smears").left_out == ("all models: left out 1 run with a mix that is none of the columns: c",)


def test_scores_are_paired_by_name_and_images_without_a_score_dropped(tmp_path):
    write_run(tmp_path, "a", "rd", 0, images={"y": 0.2, "x": 0.1, "z": 0.3})
    write_run(tmp_path, "b", "rd", 1, images={"z": 0.6, "x": 0.4, "y": 0.5})
    write_run(tmp_path, "c", "rd_sd", 0, images={"x": 0.7, "y": float("nan"), "z": 0.9})
    scores, n_dropped = paired_scores(grouped(tmp_path).runs["fcn8s"], "dice")
    assert scores["rd"].tolist() == [[0.1, 0.3], [0.4, 0.6]]
    assert scores["rd_sd"].tolist() == [[0.7, 0.9]]
    assert n_dropped == 1
    with pytest.raises(ValueError, match="no test image with a finite iou in all of 3 runs"):
        paired_scores(grouped(tmp_path).runs["fcn8s"], "iou")


def test_one_run_of_another_sweep_or_protocol_hides_nothing(tmp_path):
    for column in ("rd", "rd_aug", "rd_sd_aug"):
        write_run(tmp_path, column, column)
    # Mixed by a ratio, in the same group; and newer, on another split, alone.
    write_run(tmp_path, "by_ratio", "rd_sd_aug", ratio=[1, 2, 1])
    write_run(tmp_path, "paper", "rd_aug", settings=changed(protocol="paper"), data_hash="all of train")
    groups = grouped(tmp_path)
    assert names(groups) == {column: {0: column} for column in ("rd", "rd_aug", "rd_sd_aug")}
    assert any("paper" in line for line in groups.left_out)
