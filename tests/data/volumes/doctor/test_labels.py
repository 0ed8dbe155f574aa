import numpy as np

from rbc_lightning.data.volumes.doctor.labels import histogram, missing_findings, value_findings

CLASSES, TARGETS = {0: None, 1: "lesion", 2: "ventricles"}, {"lesion"}


def lines(values, counts=None):
    found = dict.fromkeys(values, 10) if counts is None else dict(zip(values, counts, strict=True))
    return [finding.line() for finding in value_findings("a", found, CLASSES, TARGETS)]


def test_values_that_missed_an_integer_by_rounding_count_as_it():
    mask = np.array([0, 0, 254.9999999, 255.0, 0.5])
    assert histogram(mask) == {0: 2, 255: 2, 0.5: 1}


def test_a_mask_of_known_values_is_in_order():
    assert lines([0, 1, 2]) == lines([0, 1]) == []


def test_unknown_values_are_told_with_their_voxels_and_what_was_expected():
    (line,) = lines([0, 1, 255], [90, 5, 7])
    assert "unknown values in the mask, 255 (7 voxels); expected 0 background, 1 lesion, 2 ventricles" in line


def test_values_between_integers_are_told():
    assert "values between integers in the mask, 0.25 (3 voxels), 0.5 (4 voxels)" in lines([0, 0.25, 0.5, 1], [9, 3, 4, 5])[0]


def test_numbers_of_lesions_are_told_from_classes():
    assert "17 unknown values from 3 to 19 in the mask, which look like lesion numbers" in lines(range(20))[0]
    assert "look like" not in lines([0, 1, *range(1000, 9000, 1000)])[0]


def test_an_empty_mask_is_grave_and_a_scan_without_lesions_is_a_note():
    assert lines([0])[0].startswith("warning: a: the mask is empty")
    assert lines([0, 2])[0].startswith("note: a: no lesion in the mask")


def test_classes_that_only_some_masks_have_are_noted_with_the_scans_that_lack_them():
    named = {"a": {"lesion", "ventricles"}, "b": {"lesion"}, "c": {"lesion"}}
    (finding,) = missing_findings(named)
    assert finding.scans == ("b", "c")
    assert finding.text.startswith("2 of 3 masks have no ventricles; where it was not drawn")
    assert missing_findings({}) == []
