"""The whole chain at `scale=tiny`, in process, on the tiny data set."""

import csv
import json
import shutil

import pytest
import torch
from tiny_data import write_tiny_folder

from rbc_lightning.app import run
from rbc_lightning.commands.experiment import Experiment
from rbc_lightning.data.lineage import Ancestor
from rbc_lightning.data.manifest import Manifest
from rbc_lightning.errors import InputError


@pytest.fixture(scope="module")
def place(made, tmp_path_factory):
    return shutil.copytree(made, tmp_path_factory.mktemp("chain") / "made")


@pytest.fixture(scope="module")
def first(place, compose_tiny):
    """What the whole chain left."""
    return run(compose_tiny(place, "+experiment=rd_sd_aug"))


def test_a_run_directory_holds_all_that_a_table_needs(first):
    metrics = json.loads((first.directory / "metrics.json").read_text())
    assert metrics["column"] == "rd_sd_aug"
    assert metrics["mix"] == {"real": 4, "synthetic": 2, "augmented": 2, "total": 8}
    assert 0 <= metrics["test/dice"] <= 1
    with (first.directory / "per_image.csv").open() as handle:
        rows = list(csv.DictReader(handle))
    assert [(row["sample_id"], row["group"]) for row in rows] == [("smear_05", "slide_5"), ("smear_06", "slide_6")]
    assert metrics["test/dice"] == pytest.approx(sum(float(row["dice"]) for row in rows) / 2, abs=1e-6)
    for name in ("config.yaml", "drawn.csv", "figures/run.png", "checkpoints/best.ckpt", "curves/metrics.csv"):
        assert (first.directory / name).stat().st_size > 0


def test_what_was_drawn_follows_the_mix_and_train_alone(first):
    with (first.directory / "drawn.csv").open() as handle:
        rows = list(csv.DictReader(handle))
    drawn = {
        kind: sum(int(row["draws"]) for row in rows if (row["origin"], row["augmented"]) == kind)
        for kind in [("real", "False"), ("synthetic", "False"), ("real", "True")]
    }
    assert list(drawn.values()) == [4, 2, 2]
    assert not {row["sample_id"] for row in rows} & {"smear_05", "smear_06"}


def test_synthetic_pairs_carry_their_lineage(first, place):
    (table,) = place.glob("artifacts/synthetic/*/manifest.csv")
    samples = Manifest.load(table).samples
    assert all(sample.origin == "synthetic" and sample.split == "train" for sample in samples)
    for sample in samples:
        assert len(sample.lineage.trained_on) == 4
        names = {ancestor.sample_id for ancestor in sample.lineage.trained_on}
        assert not names & {"smear_05", "smear_06"}


def test_a_second_call_reuses_the_run_and_every_artifact_and_says_so(first, place, compose_tiny, capsys):
    again = run(compose_tiny(place, "+experiment=rd_sd_aug"))
    assert (again.reused, again.directory, again.metrics) == (True, first.directory, first.metrics)
    assert "finished earlier" in again.summary()
    said = capsys.readouterr().out
    titles = {"shape_bank": "shape bank", "translator": "translator", "synthetic": "synthetic pairs"}
    for kind, title in titles.items():
        assert f"Reused {title} {first.metrics['artifacts'][kind]}" in said


def test_a_damaged_record_of_a_finished_run_is_told_with_a_remedy(first, place, compose_tiny):
    record = first.directory / "metrics.json"
    whole = record.read_bytes()
    record.write_bytes(whole[:40])
    try:
        with pytest.raises(
            InputError, match=r"metrics\.json: damaged .*; expected .*: delete that file, .* or take rerun=true"
        ):
            run(compose_tiny(place, "+experiment=rd_sd_aug"))
    finally:
        record.write_bytes(whole)


def test_another_column_builds_no_translator_anew(first, place, compose_tiny, capsys):
    run(compose_tiny(place, "+experiment=sd"))
    said = capsys.readouterr().out
    assert "Reused translator" in said
    assert len([path for path in (place / "artifacts" / "translator").iterdir() if path.is_dir()]) == 1


def test_the_same_seed_gives_the_same_weights_and_another_seed_others(first, tmp_path, compose_tiny):
    def weights(result):
        return torch.load(result.directory / "checkpoints" / "last.ckpt", weights_only=True)["state_dict"]

    again = run(compose_tiny(tmp_path / "again", "+experiment=rd_sd_aug"))
    other = run(compose_tiny(tmp_path / "other", "+experiment=rd_sd_aug", "seed=1"))
    ours = weights(first)
    assert all(torch.equal(value, weights(again)[name]) for name, value in ours.items())
    assert again.metrics["test/dice"] == first.metrics["test/dice"]
    assert not all(torch.equal(value, weights(other)[name]) for name, value in ours.items())


def test_a_finished_run_ignores_where_it_is_stored_but_not_what_it_is(first, place, compose_tiny):
    fewer_steps = run(compose_tiny(place, "+experiment=rd_sd_aug", "training.steps=2"))
    assert fewer_steps.directory != first.directory


def test_a_translator_that_saw_a_test_image_is_refused_whatever_its_name_there(first, tmp_path, place, compose_tiny):
    (trained,) = [path for path in (place / "artifacts" / "translator").iterdir() if path.is_dir()]
    shutil.copytree(trained, tmp_path / "translator")
    config = compose_tiny(tmp_path, "+experiment=rd_sd", f"translator.path={tmp_path}/translator")
    (test, *_) = Experiment(config).manifest.split("test")
    for name, phrase in (("smear_05", "sample 'smear_05'"), ("mine", "'mine', which has the same image as sample 'smear_05'")):
        rows = [["smear_00", "other", "bytes"], [name, test.image_sha256, "other"]]
        (tmp_path / "translator" / "trained_on.json").write_text(json.dumps(rows))
        with pytest.raises(InputError, match=f"translator.* descends from {phrase}, which is in the test split"):
            run(config)
    assert not [path for path in tmp_path.glob("runs/*") if path.is_dir()]


def test_a_translator_of_another_data_set_may_have_seen_an_image_of_the_same_name(first, tmp_path, place, compose_tiny, capsys):
    (trained,) = [path for path in (place / "artifacts" / "translator").iterdir() if path.is_dir()]
    shutil.copytree(trained, tmp_path / "translator")
    (tmp_path / "translator" / "trained_on.json").write_text(json.dumps([["smear_05", "other", "bytes"]]))
    given = ("stage=synthesize", "synthetic.count=1", f"translator.path={tmp_path}/translator")
    (sample,) = Manifest.load(run(compose_tiny(tmp_path, *given)).manifest).samples
    assert Ancestor("smear_05", "other", "bytes") in sample.lineage.trained_on
    assert "was made from another 'smear_05' than the one in the test split here" in " ".join(capsys.readouterr().out.split())


def test_a_folder_of_masks_with_that_of_a_test_image_is_refused(tmp_path, tiny_folder, compose_tiny):
    (tmp_path / "masks").mkdir()
    shutil.copy(tiny_folder / "labels" / "smear_05.png", tmp_path / "masks" / "mine.png")
    phrase = r"the source of label maps descends from 'mine\.png', which has the same label map as sample 'smear_05'"
    with pytest.raises(InputError, match=phrase):
        run(compose_tiny(tmp_path, "+experiment=rd_sd", "masks=folder", f"masks.path={tmp_path}/masks"))


def test_given_synthetic_pairs_are_used_and_counted(first, tmp_path, place, compose_tiny):
    (table,) = place.glob("artifacts/synthetic/*/manifest.csv")
    with pytest.raises(InputError, match=r"\d+ synthetic samples where the mix asks for 40; lower mix\.total"):
        run(compose_tiny(tmp_path, "+experiment=rd_sd", "mix.total=44", f"synthetic.path={table.parent}"))
    result = run(compose_tiny(tmp_path, "+experiment=rd_sd", "mix.total=6", f"synthetic.path={table.parent}"))
    assert result.metrics["mix"]["synthetic"] == 2


def test_given_pairs_must_be_synthetic_and_name_their_sources(first, tmp_path, place, compose_tiny):
    (table,) = place.glob("artifacts/synthetic/*/manifest.csv")
    shutil.copytree(table.parent, tmp_path / "given")
    rows = list(csv.reader((tmp_path / "given" / "manifest.csv").open()))
    rows[1][rows[0].index("trained_on")] = ""
    with (tmp_path / "given" / "manifest.csv").open("w", newline="") as handle:
        csv.writer(handle).writerows(rows)
    with pytest.raises(InputError, match="'synthetic_00000' is not a synthetic one that names what it was made from"):
        run(compose_tiny(tmp_path, "+experiment=rd_sd", "mix.total=6", f"synthetic.path={tmp_path}/given"))


def test_a_mask_of_stage_masks_is_that_of_the_pair_with_its_number(first, place, compose_tiny):
    masks = run(compose_tiny(place, "stage=masks"))
    (table,) = place.glob("artifacts/synthetic/*/manifest.csv")
    for number in range(2):
        pair = table.parent / "labels" / f"synthetic_{number:05d}.png"
        assert pair.read_bytes() == (masks.labels / f"mask_{number:05d}.png").read_bytes()


def test_a_group_is_never_split_between_train_and_validation(tmp_path, compose_tiny):
    root = write_tiny_folder(tmp_path / "grouped", n_train=6, group_of=lambda index: f"patient_{index // 2}")
    manifest = Experiment(compose_tiny(tmp_path, root=root)).manifest
    groups = [{sample.group for sample in manifest.split(split)} for split in ("train", "val", "test")]
    assert [len(group) for group in groups] == [2, 1, 1]
    assert not groups[0] & groups[1]


@pytest.mark.parametrize("stage", ["check", "masks", "translator", "synthesize"])
def test_every_stage_leaves_a_picture(stage, first, place, compose_tiny):
    result = run(compose_tiny(place, f"stage={stage}"))
    picture = getattr(result, "figure", None) or result.preview
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert str(picture) in result.summary()


def test_online_pairs_are_generated_while_training(first, place, compose_tiny):
    config = compose_tiny(place, "+experiment=rd_sd", "synthetic.mode=online")
    result = run(config)
    with (result.directory / "drawn.csv").open() as handle:
        drawn = {row["sample_id"]: int(row["draws"]) for row in csv.DictReader(handle) if row["origin"] == "synthetic"}
    assert drawn == {"online": 4}
    again = run(compose_tiny(place, "+experiment=rd_sd", "synthetic.mode=online", "rerun=true"))
    assert again.metrics["test/dice"] == result.metrics["test/dice"]
    with pytest.raises(InputError, match=r"synthetic\.mode=live; expected one of offline, online"):
        run(compose_tiny(place, "+experiment=rd_sd", "synthetic.mode=live"))
