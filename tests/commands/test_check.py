import numpy as np
import pytest
from PIL import Image
from plain_samples import plain_sample
from slice_samples import slice_manifest

from rbc_lightning.app import run
from rbc_lightning.commands import check
from rbc_lightning.data.manifest import Manifest
from rbc_lightning.data.near_duplicates import NearDuplicate


@pytest.mark.parametrize(("protocol", "n_splits"), [("held_out", 3), ("paper", 2)])
def test_every_split_is_described_under_either_protocol(tmp_path, compose_tiny, capsys, protocol, n_splits):
    result = run(compose_tiny(tmp_path, "stage=check", f"protocol={protocol}"))
    said = capsys.readouterr().out
    assert result.n_samples == 7
    assert said.count("9 +- 0") == n_splits
    assert result.summary() == f"7 samples are in order; look at {result.preview}"
    assert result.preview.is_file()


def test_notes_name_unlisted_images_and_empty_label_maps(own_folder, tmp_path, compose_tiny, capsys):
    Image.fromarray(np.zeros((96, 128), np.uint16)).save(own_folder / "labels" / "smear_00.png")
    Image.new("RGB", (8, 8)).save(own_folder / "images" / "stray.png")
    run(compose_tiny(tmp_path, "stage=check", "data.validation_fraction=0.2", root=own_folder))
    said = " ".join(capsys.readouterr().out.split())
    assert "stray.png is not in splits.csv and takes no part" in said
    assert "note: training label maps without a cell, 1: smear_00" in said


@pytest.mark.parametrize(("n_test", "groups", "warned"), [(2, 2, "2 images"), (6, 3, "3 groups"), (6, 6, None), (8, 6, None)])
def test_too_few_test_images_or_groups_for_a_verdict_are_told_before_anything_is_trained(n_test, groups, warned, capsys):
    """Images of one patient count once."""
    check.warn_of_few_units(Manifest(tuple(plain_sample(f"i{k}", "test", f"p{k % groups}") for k in range(n_test))))
    said = " ".join(capsys.readouterr().out.split())
    assert (f"warning: the test split has {warned}" in said) if warned else not said


def test_of_slices_patients_are_told(capsys):
    check.warn_of_few_units(slice_manifest())
    assert "warning: the test split has 2 patients; a verdict needs" in " ".join(capsys.readouterr().out.split())


def test_all_folds_are_told_as_one_sweep_where_they_are_enough(capsys):
    samples = [plain_sample(f"i{k}", "test" if k < 2 else "train") for k in range(6)]
    check.warn_of_few_units(Manifest(tuple(samples)))
    said = " ".join(capsys.readouterr().out.split())
    assert said.endswith("move more into it, or test on all 6 in turn (-m data.folds=5 data.fold=0,1,2,3,4)")
    check.warn_of_few_units(Manifest((*samples[:5], plain_sample("e", "external"))))
    assert capsys.readouterr().out.split()[-2:] == ["add", "some"]


def test_the_groups_of_all_folds_are_counted_together(capsys):
    samples = [plain_sample(f"i{k}", "test" if k < 2 else "train") for k in range(6)]
    check.warn_of_few_units(Manifest((*samples, plain_sample("e", "external"))), folds=3)
    assert not capsys.readouterr().out
    check.warn_of_few_units(Manifest((*samples[1:], plain_sample("e", "external"))), folds=3)
    assert "warning: all folds have 5 images; a verdict needs at least 6: add some" in capsys.readouterr().out


def test_a_copy_of_a_test_image_in_train_is_warned_of_with_both_names(own_folder, tmp_path, compose_tiny, capsys):
    image = Image.open(own_folder / "images" / "smear_05.png").transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    image.crop((6, 4, image.width, image.height - 3)).save(own_folder / "images" / "renamed.jpg", quality=60)
    Image.fromarray(np.zeros((image.height - 7, image.width - 6), np.uint16)).save(own_folder / "labels" / "renamed.png")
    with (own_folder / "splits.csv").open("a") as table:
        columns = (own_folder / "splits.csv").read_text().splitlines()[0].split(",")
        table.write(",".join({"sample_id": "renamed", "split": "train", "group": "new"}[name] for name in columns) + "\n")
    result = run(compose_tiny(tmp_path, "stage=check", "protocol=paper", root=own_folder))
    said = " ".join(capsys.readouterr().out.split())
    assert [{p.first.sample_id, p.second.sample_id} for p in result.near_duplicates] == [{"smear_05", "renamed"}]
    assert "'smear_05' (test) and 'renamed' (train) look like one field" in said
    assert "8 samples are in order, but 1 pair in two splits look alike" in result.summary()


def test_of_very_many_pairs_the_first_are_named_and_crops_are_not_looked_for(tmp_path, compose_tiny, capsys, monkeypatch):
    def all_pairs(samples, progress):
        train, test = ([sample for sample in samples if sample.split == split] for split in ("train", "test"))
        return [NearDuplicate(first, second, 0.1) for first in train for second in test] * 2

    monkeypatch.setattr(check, "find_near_duplicates", all_pairs)
    monkeypatch.setattr(check, "MOST_PAIRS", 5)
    run(compose_tiny(tmp_path, "stage=check", "protocol=paper"))
    said = " ".join(capsys.readouterr().out.split())
    assert said.count("look like one field") == 10
    assert "warning: 10 more such pairs" in said
    assert "note: 10 pairs in two splits, more than 5: crops were not looked for among them" in said


@pytest.mark.parametrize("protocol", ["held_out", "paper"])
def test_the_translator_shows_its_structure_maps(tmp_path, compose_tiny, protocol):
    result = run(compose_tiny(tmp_path, "stage=check", "translator=mode_seeking_pix2pix", f"protocol={protocol}"))
    assert result.translator_preview.is_file()
    assert str(result.translator_preview) in result.summary()
