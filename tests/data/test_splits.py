import contextlib
from dataclasses import replace

import pytest
from head_slices import slice_samples
from plain_samples import plain_ancestor, plain_manifest, plain_sample
from slice_samples import slice_manifest

from rbc_lightning.data.lineage import refuse_held_out
from rbc_lightning.data.manifest import Manifest
from rbc_lightning.data.splits import (
    check_groups,
    check_test,
    cut_validation,
    deal_folds,
    evenly,
    keep_real_groups,
    keep_real_images,
    merge_validation,
    one_of_each_scan,
    refuse_leakage,
    to_look_at,
)
from rbc_lightning.errors import InputError


def test_validation_is_cut_by_group_and_by_seed():
    manifest = Manifest((*(plain_sample(f"r{i}", group=f"g{i // 2}") for i in range(20)), plain_sample("t0", "test")))
    cut = cut_validation(manifest, 0.2, seed=0)
    assert len(cut.ids("val")) == 4
    assert len(cut.ids("train")) == 16
    assert cut.ids("test") == ("t0",)
    assert {r.group for r in cut.split("val")}.isdisjoint({r.group for r in cut.split("train")})
    assert cut == cut_validation(manifest, 0.2, seed=0)
    assert len({cut_validation(manifest, 0.2, seed=seed).ids("val") for seed in range(5)}) > 1


def test_a_given_validation_split_is_kept():
    manifest = Manifest((plain_sample("a"), plain_sample("b", "val"), plain_sample("c", "test")))
    assert cut_validation(manifest, 0.5, seed=0) is manifest


def test_one_group_cannot_be_cut():
    one = Manifest((plain_sample("a", group="p"), plain_sample("b", group="p"), plain_sample("c", "test")))
    with pytest.raises(
        InputError, match=r"the train split has 1 group \('p', 2 images\).*expected at least 2.*name a val split"
    ):
        cut_validation(one, 0.5, seed=0)


@pytest.mark.parametrize("fraction", [0.0, 1.0, -0.1])
def test_the_validation_share_is_checked(fraction):
    with pytest.raises(InputError, match=f"data.validation_fraction={fraction}; expected a number between 0 and 1"):
        cut_validation(plain_manifest(), fraction, seed=0)


def test_real_images_are_kept_by_seed_and_smaller_choices_are_parts_of_larger_ones():
    manifest = cut_validation(plain_manifest(20), 0.2, seed=0)
    kept = {count: keep_real_images(manifest, count, seed=3) for count in (1, 5, 16)}
    assert {count: len(fewer.ids("train")) for count, fewer in kept.items()} == {1: 1, 5: 5, 16: 16}
    assert set(kept[1].ids("train")) < set(kept[5].ids("train")) < set(manifest.ids("train"))
    assert kept[16] == manifest
    for fewer in kept.values():
        assert (fewer.ids("val"), fewer.ids("test")) == (manifest.ids("val"), manifest.ids("test"))
    assert len({keep_real_images(manifest, 5, seed).ids("train") for seed in range(5)}) > 1


def test_groups_are_kept_whole():
    sizes = {"a": 3, "b": 2, "c": 2}
    samples = (plain_sample(f"{group}{i}", group=group) for group, size in sizes.items() for i in range(size))
    manifest = Manifest((*samples, plain_sample("t0", "test")))
    kept = set()
    for seed in range(20):
        # 2 + 2, and the group of 3 no longer fits; 3 + 2 else.
        with contextlib.suppress(InputError):
            kept.add(tuple(r.group for r in keep_real_images(manifest, 5, seed).split("train")))
    assert kept == {("a", "a", "a", "b", "b"), ("a", "a", "a", "c", "c")}
    with pytest.raises(InputError, match=r"n_real_images=1; whole groups .* come to 0 images \(the smallest group has 2\)"):
        keep_real_images(manifest, 1, seed=0)


def test_of_groups_the_fewer_are_among_the_more():
    sizes = {"a": 3, "b": 2, "c": 4}
    samples = (plain_sample(f"{group}{i}", group=group) for group, size in sizes.items() for i in range(size))
    manifest = Manifest((*samples, plain_sample("v0", "val"), plain_sample("t0", "test")))
    for seed in range(4):
        kept = [{sample.group for sample in keep_real_groups(manifest, n, seed).split("train")} for n in (1, 2, 3)]
        assert [len(groups) for groups in kept] == [1, 2, 3]
        assert kept[0] < kept[1] < kept[2]
        assert all(
            len([s for s in keep_real_groups(manifest, 3, seed).split("train") if s.group == g]) == sizes[g] for g in sizes
        )
    assert len({keep_real_groups(manifest, 1, seed).ids("train") for seed in range(8)}) > 1
    assert keep_real_groups(manifest, 1, 0).ids("test") == ("t0",)
    with pytest.raises(InputError, match=r"data.n_real_patients=4; expected at most 3, the training patients"):
        keep_real_groups(manifest, 4, seed=0)


@pytest.mark.parametrize("count", [0, 11, -1, True, 2.5, "all"])
def test_the_number_of_real_images_is_checked(count):
    with pytest.raises(InputError, match=rf"data.n_real_images={count}; expected a whole number from 1 to 10, .* or null"):
        keep_real_images(plain_manifest(10), count, seed=0)


def test_merging_gives_validation_back_to_train_and_leaves_test():
    whole = plain_manifest()
    merged = merge_validation(cut_validation(whole, 0.3, seed=1))
    assert merged == whole
    given = merge_validation(Manifest((plain_sample("a"), plain_sample("b", "val"), plain_sample("c", "test"))))
    assert (given.ids("train"), given.ids("test")) == (("a", "b"), ("c",))
    with pytest.raises(InputError, match="split 'val' is empty"):
        given.ids("val")


def patients(n=10, split_of=lambda i: "train" if i < 6 else "test"):
    """Two scans of each patient, and one of another scanner."""
    scans = [plain_sample(f"p{i}_{scan}", split_of(i), f"p{i}") for i in range(n) for scan in range(2)]
    return Manifest((*scans, plain_sample("elsewhere", "external")))


def groups_of(manifest, split):
    return {sample.group for sample in manifest.samples if sample.split == split}


@pytest.mark.parametrize(("n", "folds"), [(10, 5), (11, 3), (4, 4)])
def test_every_group_is_tested_in_one_fold_and_learnt_from_in_all_others(n, folds):
    manifest = patients(n)
    dealt = [deal_folds(manifest, folds, fold, seed=0) for fold in range(folds)]
    tested = [groups_of(fold, "test") for fold in dealt]
    assert sorted(group for groups in tested for group in groups) == sorted(f"p{i}" for i in range(n))
    assert max(map(len, tested)) - min(map(len, tested)) <= 1
    for fold in dealt:
        assert groups_of(fold, "train") == {f"p{i}" for i in range(n)} - groups_of(fold, "test")
        assert fold.ids("external") == ("elsewhere",)
        assert [sample.sample_id for sample in fold.samples] == [sample.sample_id for sample in manifest.samples]
    assert len({fold.fingerprint() for fold in dealt}) == folds


def test_folds_do_not_depend_on_the_splits_given_and_change_with_their_own_seed():
    plain, named = patients(), patients(split_of=lambda i: ("train", "val", "test")[i % 3])
    assert deal_folds(plain, 5, 2, seed=0) == deal_folds(named, 5, 2, seed=0)
    assert len({deal_folds(plain, 5, 2, seed).ids("test") for seed in range(5)}) > 1
    cut = cut_validation(deal_folds(named, 5, 2, seed=0), 0.2, seed=3)
    assert len(groups_of(cut, "val")) == 2
    assert groups_of(cut, "val").isdisjoint(groups_of(cut, "train") | groups_of(cut, "test") | {"elsewhere"})


def test_folds_are_refused_where_there_are_fewer_groups_or_images_of_two_groups_are_one():
    with pytest.raises(InputError, match=r"data.folds=11 of 10 groups .*expected at most 10: lower data.folds"):
        deal_folds(patients(10), 11, 0, seed=0)
    twin = replace(plain_sample("twin", group="q"), image_sha256="image p0_0")
    with pytest.raises(InputError, match=r"'p0_0' .* and 'twin' .* are the same image"):
        deal_folds(Manifest((plain_sample("p0_0"), twin)), 2, 0, seed=0)


SPLITS = {"p0": "train", "p1": "train", "p2": "test", "p3": "external"}


@pytest.mark.parametrize(
    ("splits", "folds", "message"),
    [
        (SPLITS, 4, r"data.folds=4 of 3 groups .*expected at most 3: lower data.folds"),
        (
            {"p0": "train", "p1": "train", "p3": "external"},
            2,
            r"the train split has 1 group of 2, .*one of them for validation",
        ),
        (dict.fromkeys("abc", "train"), None, r"mine has no test split; expected one, or folds: set data.folds=3 data.fold=0"),
        (dict.fromkeys("ab", "train"), None, r"mine has no test split, and 2 groups .*at least 3"),
        ({"a": "train", "b": "test"}, None, r"the train split has 1 group of 2, which is never divided"),
    ],
)
def test_what_groups_cannot_give_is_refused_before_samples_are_read(splits, folds, message):
    with pytest.raises(InputError, match=message):
        check_groups(splits, "mine", folds, validates=True)


def test_what_groups_can_give_is_not_refused():
    check_groups(SPLITS, "mine", None, validates=True)
    check_groups(SPLITS, "mine", 3, 0, validates=True)
    # Of three groups in two folds the first has two.
    check_groups(SPLITS, "mine", 2, 1, validates=True)
    with pytest.raises(InputError, match="the train split has 1 group of 3"):
        check_groups(SPLITS, "mine", 2, 0, validates=True)
    check_groups({"a": "train", "b": "test"}, "mine", None, validates=False)
    check_groups({"a": "train", "b": "test", "c": "val"}, "mine", None, validates=True)


def test_without_a_test_split_folds_are_proposed():
    check_test(patients(), "mri")
    with pytest.raises(
        InputError, match=r"^mri has no test split; expected one, or folds: set data.folds=5 data.fold=0 for .* its 10 groups"
    ):
        check_test(patients(split_of=lambda i: "train"), "mri")
    with pytest.raises(InputError, match=r"set data.folds=4 .* of its 4 groups \(-m data.fold=0,1,2,3 runs all\)"):
        check_test(patients(4, split_of=lambda i: "train"), "mri")
    with pytest.raises(InputError, match=r"no test split, and 0 groups .*; expected at least 3, one each to train"):
        check_test(patients(4, split_of=lambda i: "external"), "mri")


def test_what_another_fold_made_is_refused():
    """Whatever was made from the train split of one fold has seen the test split of each other one."""
    folds = [deal_folds(patients(), 5, fold, seed=0) for fold in range(5)]
    for here in folds:
        for there in folds:
            made = plain_sample("s", origin="synthetic", trained_on=cut_validation(there, 0.2, seed=0).ids("train"))
            if here is there:
                refuse_leakage(here, [made])
            else:
                with pytest.raises(InputError, match=r"'s' .* descends from sample 'p.*', which is in the test split"):
                    refuse_leakage(here, [made])


def test_external_samples_are_held_out():
    leaky = plain_sample("s", origin="synthetic", trained_on=("elsewhere",))
    with pytest.raises(InputError, match="descends from sample 'elsewhere', which is in the external split"):
        refuse_leakage(patients(), [leaky])


def test_leakage_is_refused_with_the_sample_named():
    cut = cut_validation(plain_manifest(), 0.2, seed=0)
    clean = plain_sample("s0", origin="synthetic", trained_on=cut.ids("train"))
    refuse_leakage(cut, [clean])
    for split in ("val", "test"):
        source = cut.ids(split)[0]
        leaky = plain_sample("s1", origin="synthetic", trained_on=("r0", source))
        with pytest.raises(InputError, match=f"'s1'.* descends from sample '{source}', which is in the {split} split"):
            refuse_leakage(cut, [clean, leaky])
        copy = replace(clean, image_sha256=f"image {source}")
        with pytest.raises(InputError, match=f"synthetic samples descends from 's0', which has the same image as .*'{source}'"):
            refuse_leakage(cut, [copy])
        with pytest.raises(InputError, match=f"the translator descends from sample '{source}'"):
            refuse_held_out(cut.samples, "the translator", [plain_ancestor(source)])


def test_of_each_scan_the_fullest_slice_is_shown():
    slices = slice_manifest().split("test")
    shown = one_of_each_scan(slices)
    assert [sample.volume for sample in shown] == ["c", "d"]
    sizes = {s.sample_id: (s.load_label_map() > 0).sum() for s in slices}
    for sample in shown:
        assert sizes[sample.sample_id] == max(sizes[s.sample_id] for s in slices if s.volume == sample.volume) > 0
    smears = tuple(plain_sample(f"r{i}") for i in range(3))
    assert one_of_each_scan(smears) == smears


def test_slices_to_look_at_are_taken_from_all_along_the_scans():
    slices = slice_samples(12).samples
    for some in (evenly, to_look_at):
        assert [sample.sample_id for sample in some(slices, 3)] == ["scan_1_000", "scan_3_000", "scan_5_000"]
        assert some(slices, 20) == slices
    assert [sample.sample_id for sample in to_look_at(plain_manifest(5).split("train"), 2)] == ["r0", "r1"]
    assert to_look_at((), 2) == ()
    assert evenly(range(10), 2) == (2, 7)
