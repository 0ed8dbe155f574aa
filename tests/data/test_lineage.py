from dataclasses import replace

import pytest
from plain_samples import fluorescent_sample, plain_ancestor, plain_sample

from rbc_lightning.data.lineage import Ancestor, find_twin, from_rows, reference, refuse_held_out, to_rows
from rbc_lightning.data.sample import ArrayPair
from rbc_lightning.errors import InputError


@pytest.fixture
def held_out():
    return fluorescent_sample("t0", 0, "test")


def test_an_ancestor_is_found_under_another_name_and_both_are_named(held_out):
    renamed = replace(Ancestor.of(held_out), sample_id="mine")
    with pytest.raises(
        InputError,
        match="the translator descends from 'mine', which has the same image as sample 't0', which is in the test split; a mix",
    ):
        refuse_held_out([held_out], "the translator", [plain_ancestor("a"), renamed])


def test_a_label_map_gives_an_image_away_that_was_saved_anew(held_out):
    saved_anew = Ancestor("mine", "other bytes", held_out.label_sha256)
    alone = Ancestor("mask.png", "", held_out.label_sha256)
    for ancestor in (saved_anew, alone):
        with pytest.raises(InputError, match=f"{ancestor.sample_id}', which has the same label map as sample 't0'"):
            refuse_held_out([held_out], "it", [ancestor])


@pytest.mark.parametrize(
    ("labels", "labelled", "told"),
    [("instances", 0, False), ("instances", 1, True), ("classes", 0, False), ("classes", 19, False), ("classes", 20, True)],
)
def test_empty_label_maps_and_small_lesions_are_nobody_s_own(held_out, labels, labelled, told):
    spec = replace(held_out.spec, labels=labels, classes=("lesion",))
    label_map = 0 * held_out.load_label_map()
    label_map[0, :labelled] = 1
    pair = ArrayPair(held_out.load_image(), label_map, "memory")
    sample = replace(held_out, loader=pair, label_sha256=pair.sha256[1], spec=spec)
    found = find_twin([sample], [Ancestor("a", "1", sample.label_sha256), Ancestor("b", "2", sample.label_sha256)])
    assert (found is not None) == told


def test_another_image_of_the_same_name_is_accepted_and_told_once(capsys):
    test = plain_sample("002", "test")
    elsewhere = [Ancestor("002", "other image", "other labels"), plain_ancestor("003")]
    for _ in range(2):
        refuse_held_out([test], "the translator of another data set", elsewhere)
    said = " ".join(capsys.readouterr().out.split())
    assert said.count("was made from another '002' than the one in the test split here: used, since their bytes differ") == 1


def test_rows_survive_and_have_a_short_name():
    ancestors = (plain_ancestor("a"), Ancestor("mask.png", "", "beef"))
    assert from_rows(to_rows(ancestors)) == ancestors
    assert len(reference(ancestors)) == 16
    assert reference(ancestors) != reference(ancestors[::-1])


@pytest.mark.parametrize("rows", [{"a": 1}, ["a"], [["a", "b"]], [["a", "b", 3]]])
def test_rows_of_another_form_are_refused(rows):
    with pytest.raises(ValueError, match=r"list of ancestors|not as \[sample_id, image_sha256, label_sha256\]"):
        from_rows(rows)
