"""What is said of runs that are left out: short, with the values of both sides, and with something to do."""

from rbc_lightning.study.left_out import ask_for, brief, difference, train_again


def test_differing_settings_are_named_with_both_values_three_at_most():
    theirs, ours = {"b": 1, "a": None, "c": "same", "z.name": "pix2pix"}, {"b": 2, "a": [1, 2], "c": "same", "z.name": "hd"}
    assert difference(theirs, ours) == "z.name pix2pix, here hd; a null, here [1,2]; b 1, here 2"
    assert difference(theirs | {"d": 3}, ours) == "z.name pix2pix, here hd; a null, here [1,2]; b 1, here 2; 1 more"
    assert brief("x" * 41) == "x" * 37 + "..."


def test_test_images_are_told_by_how_many_are_shared():
    ours = {"test images": {"x": 1, "y": 2}}
    assert difference({"test images": {"x": 1}}, ours) == "1 of 1 test images are among the 2 here"
    assert difference({"test images": {"x": 1, "y": 3}}, ours) == "other objects in the same test images"


def test_folds_stand_for_their_test_images_and_the_seed_that_dealt_them():
    folds, plain = {"data.folds": 3, "data.fold_seed": 0}, {"test images": {"x": 1}}
    assert difference(folds, plain) == "data.folds 3, here null"
    assert ask_for(folds, plain) == "stage=report data.folds=3 takes them instead"
    assert ask_for(plain, folds) == "stage=report data.folds=null takes them instead"
    assert ask_for({"test images": {"y": 1}}, plain).startswith("the files have changed between: train again")


def test_hashes_are_not_shown():
    for name in ("data_hash", "identity.base"):
        assert difference({name: "a"}, {name: "b"}) == ""
        assert train_again({name: "a"}, {name: "b"}) == "train again (rerun=true) to compare"
    assert train_again({"training.steps": 1}, {"training.steps": 2}) == "train with those of the others to compare"
