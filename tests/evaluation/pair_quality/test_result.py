import json
import math
from dataclasses import replace

import pytest
from pair_helpers import SPEC, brain, measured, real

from rbc_lightning.evaluation.pair_quality.compare import compare
from rbc_lightning.evaluation.pair_quality.layout import Distances
from rbc_lightning.evaluation.pair_quality.result import Agreement, PairQuality


@pytest.fixture(scope="module")
def quality():
    """Of three slices that no network has seen, which is why nothing agrees."""
    pairs = [brain((19, 12, 3)), brain(seed=1), brain((4, 12, 4), seed=2)]
    seen = tuple(replace(pair, found=pair.mask) for pair in measured(*pairs))
    return compare(seen, real(*pairs), real(), SPEC, 0)


def test_dice_by_pair_pooled_and_against_the_next_mask():
    first, empty, other = measured(brain((4, 12, 4)), brain(), brain((4, 14, 4)))
    # Found: nothing in the first; the first's 16 pixels in the empty one and in the last, of whose mask they are half.
    nothing = empty.mask
    seen = [replace(first, found=nothing), replace(empty, found=first.mask), replace(other, found=first.mask)]
    agreement = Agreement.of(seen)
    assert agreement.by_pair == (0, 0.5)
    assert agreement.dice == 0.25
    # 2 x 8 of 16 + 16 + 16 + 16.
    assert agreement.pooled == pytest.approx(16 / 64)
    # Against the masks of empty, other and first: 0, 8 and 16 pixels in both.
    assert agreement.exchanged == pytest.approx(2 * 24 / 64)


def test_dice_beyond_what_place_gives():
    # From 0.6 by place alone a quarter of the way to 1.
    assert Agreement(0.7, 0.7, 0.6, ()).beyond_place == pytest.approx(0.25)
    assert Agreement(0.7, 0.7, math.nan, ()).beyond_place == pytest.approx(0.7)
    assert math.isnan(Agreement(1, 1, 1, ()).beyond_place)


def test_a_single_pair_has_no_other_mask():
    (pair,) = measured(brain((4, 12, 4)))
    assert math.isnan(Agreement.of([replace(pair, found=pair.mask)]).exchanged)


def test_without_pairs_there_is_no_agreement():
    found = Agreement.of([])
    assert found.by_pair == ()
    assert math.isnan(found.dice + found.pooled + found.exchanged)


def test_json_has_null_for_what_could_not_be_measured_and_reads_back(quality):
    content = json.loads(quality.to_json(), parse_constant=pytest.fail)
    assert content["near_1"] is None
    assert content["layout"][0]["val"] == {"ks": None, "wasserstein": None}
    assert content["findings"] == quality.findings()
    again = PairQuality.from_json(quality.to_json())
    assert again.to_json() == quality.to_json()
    assert again.layout[0].generated.wasserstein == 0


def test_findings_are_about_what_stands_out(quality):
    found = quality.findings()
    assert [line.split(":")[0] for line in found] == ["Validation images", "The network tells little"]
    told = Agreement(0.6, 0.6, 0.1, ())
    assert replace(quality, agreement_val=told, n_val_images=20).findings() == []
    changes = {"near_1": 0.4, "cells_near_1": 0.05, "twins_1": 0.2, "agreement": Agreement(0.1, 0.1, 0.09, ())}
    found = replace(quality, agreement_val=told, n_val_images=20, **changes).findings()
    assert [line.split(":")[0] for line in found] == ["Repeated", "Memorised", "Images do not show their masks"]


def test_notes_say_what_crops_are_compared_with_and_where_distances_are_from(quality):
    assert quality.notes() == []
    crops = replace(quality, window=64, n_train=200, n_train_images=101, n_val=0, without_ventricles=True)
    first, second = crops.notes()
    assert first.startswith("Pairs are crops of 64 px; the real ones are 200 crops of 101 training images, drawn as those that")
    assert "3 synthetic and 0 validation crops were searched for" in first
    assert second.endswith("so distances are from the middle of what is bright in a crop.")
    assert json.loads(crops.to_json())["notes"] == [first, second]


def test_how_far_masks_are_is_told_in_numbers(quality):
    row = quality.layout[1]
    far = replace(row, mean=1039.25, mean_train=0.25, generated=Distances(37, 1), val=Distances(1, 0.1))
    told = replace(quality, layout=(quality.layout[0], far)).findings()[0]
    assert told.endswith("(means): lesion: number per slice 1039, train 0.250.")


def test_empty_masks_are_not_said_to_be_hidden(quality):
    empty = replace(quality.layout[0], mean=1)
    found = replace(
        quality, layout=(empty,), agreement=Agreement(math.nan, 0, 0, ()), agreement_val=Agreement(0.6, 0.6, 0.1, ())
    )
    assert not any("do not show" in line for line in found.findings())
