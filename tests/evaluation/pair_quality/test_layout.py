from dataclasses import replace

import numpy as np
import pytest
from pair_helpers import SPEC, brain, measured, real
from scipy.stats import ks_2samp
from tiny_data import disc_smear

from rbc_lightning.data.spec import RGB
from rbc_lightning.evaluation.pair_quality.layout import Distances, lack_ventricles, layout_rows

TRAIN = [brain(), brain((19, 12, 3)), brain((19, 12, 1)), brain((19, 12, 1), (30, 20, 1))]
NOTHING = real()


def rows_of(generated, train=None, val=NOTHING, spec=SPEC):
    rows = layout_rows(generated, train or real(*TRAIN), val, spec)
    return {row.name: row for row in rows}


def test_distances_of_two_distributions_by_hand():
    # 0, 0, 1, 1 against 0, 1, 1, 3: moved by 0, 1, 0, 2 in order; the shares differ by a quarter at most.
    apart = Distances.between(np.array([0.0, 0, 1, 1]), np.array([0.0, 1, 1, 3]))
    assert (apart.wasserstein, apart.ks) == pytest.approx((0.75, 0.25))
    assert np.isnan(Distances.between(np.zeros(0), np.zeros(3)).ks)
    first, second = np.random.default_rng(0).integers(0, 9, (2, 30)).astype(float)
    assert Distances.between(first, second[:20]).ks == pytest.approx(ks_2samp(first, second[:20]).statistic)


def test_every_row_by_hand():
    rows = rows_of(measured(brain(), brain(), brain(), brain((19, 10, 3))))
    assert list(rows) == [
        "empty masks (share)",
        "lesion: number per slice",
        "lesion: area per slice (mm²)",
        "lesion: size of one (mm²)",
        "lesion: distance from the ventricles (mm)",
    ]
    empty, number, area, size, distance = rows.values()
    assert (empty.mean, empty.mean_train, empty.generated.wasserstein) == (0.75, 0.25, 0.5)
    # 0, 0, 0, 1 against 0, 1, 1, 2.
    assert (number.mean, number.mean_train, number.n, number.generated.wasserstein) == (0.25, 1, 4, 0.75)
    assert (area.mean, area.mean_train) == (18 / 4, (18 + 2 + 4) / 4)
    assert (size.mean, size.mean_train, size.n, size.n_train) == (18, 24 / 4, 1, 4)
    # Columns 12 and 18 are 4 mm (3 px wide) and 6 mm apart, row 30 and 21 are 18 mm; 6 mm beside a lesion from column 10.
    assert (distance.mean, distance.mean_train) == (6, (4 + 6 + 6 + 18) / 4)
    assert distance.percentiles_train[0] == 4
    assert distance.percentiles_train[-1] == 18
    assert all(np.isnan(row.mean_val) and row.percentiles_val == () for row in rows.values())


def test_masks_without_ventricles_are_measured_from_the_middle_in_both_sets():
    rows = rows_of(measured(brain((19, 12, 3), ventricle=False), brain(ventricle=False)))
    row = rows["lesion: distance from the middle of the head (mm)"]
    assert row.mean == pytest.approx(np.hypot(1, 6.5), abs=0.3)
    assert row.n_train == 4
    assert "lesion: distance from the ventricles (mm)" not in rows


def test_crops_have_a_middle_of_their_own_name():
    rows = layout_rows(measured(brain((19, 12, 3), ventricle=False)), real(*TRAIN), NOTHING, SPEC, crops=True)
    assert rows[1].name == "lesion: number per crop"
    assert rows[-1].name == "lesion: distance from the middle of what is bright (mm)"


def test_ventricles_are_missed_where_lesions_show_and_none_is_drawn():
    lesion, bare = measured(brain((19, 12, 3)), brain((19, 12, 3), ventricle=False))
    (empty,) = measured(brain(ventricle=False))
    assert lack_ventricles([bare, empty], [lesion])
    assert not lack_ventricles([bare, lesion], [lesion])
    assert not lack_ventricles([empty], [lesion])
    assert not lack_ventricles([bare], [bare])


def test_one_patient_stands_beside_validation():
    # Patients with 0, 0 and 2, 2 lesions, each all of it apart from the other.
    two = [brain((19, 12, 1), (30, 20, 1))] * 2
    train = real(brain(), brain(), *two, groups="aabb")
    row = rows_of(measured(brain(), *two), train, val=real(brain((19, 12, 1))))["lesion: number per slice"]
    # a and b are 2 apart, validation, with 1, is 1 from 0, 0, 2, 2: the median of 2, 2, 1.
    assert (row.one_patient.wasserstein, row.val.wasserstein, row.val.ks) == (2, 1, 0.5)
    # 0, 2, 2 against 0, 0, 2, 2.
    assert row.generated.wasserstein == pytest.approx(1 / 3)
    assert not row.is_far


def test_what_is_further_than_real_pairs_is_far():
    train, val = real(*TRAIN, groups="aabb"), real(*TRAIN)
    many = brain(*[(3 + 3 * index, 12, 2) for index in range(5)])
    assert rows_of(measured(many, many), train, val)["lesion: number per slice"].is_far
    assert not rows_of(measured(*TRAIN), train, val)["lesion: number per slice"].is_far


def test_what_a_few_pairs_are_apart_by_chance_is_not_far():
    """Of 40 pairs half are empty; of 4 of them 3 may well be, of 40 not; patients and validation are all alike."""
    filled, empty = measured(brain((19, 12, 3)), brain())
    pairs = (filled, empty) * 20
    train = replace(real(*TRAIN), pairs=pairs, groups=("a", "a", "b", "b") * 10, ids=tuple(map(str, range(40))))
    few, many = (layout_rows((empty, empty, empty, filled) * times, train, train, SPEC)[0] for times in (1, 10))
    assert (few.generated.wasserstein, few.val.wasserstein, few.one_patient.wasserstein) == (0.25, 0, 0)
    # Of the shares of two draws the standard deviations are 0.25 and 0.08; 0.08 and 0.08.
    assert 1.5 * 0.26 < few.chance < 2.2 * 0.26
    assert 1.5 * 0.11 < many.chance < 2.2 * 0.11
    assert not few.is_far
    assert many.is_far


def test_smears_have_cells_and_no_place():
    pairs = [disc_smear(seed, count=4) for seed in range(3)]
    rows = rows_of(measured(*pairs[:2], spec=RGB), real(*pairs, spec=RGB), spec=RGB)
    names = ["empty masks (share)", "cell: number per image", "cell: area per image (px²)", "cell: size of one (px²)"]
    assert list(rows) == names
    assert (rows[names[1]].mean, rows[names[1]].mean_train) == (4, 4)
