import numpy as np

from rbc_lightning.data.volumes.doctor.head import head_findings, head_mask

SPACING = (5.0, 5.0, 10.0)


def head(width=14, length=18, height=8):
    """An ellipsoid of 140 x 180 x 80 mm (half axes 70, 90, 80 mm) in a volume that it does not fill."""
    x, y, z = np.mgrid[-20:20, -24:24, -10:10] + 0.5
    return (x / width) ** 2 + (y / length) ** 2 + (z / height) ** 2 < 1


def texts(mask):
    return [finding.text for finding in head_findings("a", mask, SPACING)]


def test_a_whole_head_is_in_order_wherever_it_ends_below():
    assert texts(head()) == texts(head()[:, :, 8:]) == []


def test_half_a_head_is_cut_and_narrow():
    narrow, cut = texts(head()[:20])
    assert narrow.startswith("head or brain is 0.39 times as wide as long")
    assert "of the right side of the volume: it is cut there" in cut
    assert "of the back side" in texts(head()[:, 15:])[-1]


def test_what_is_too_small_for_a_head_is_told_alone():
    assert texts(head(7, 9, 4)) == [
        "head or brain has 260 ml, voxels 5.00 x 5.00 x 10.00 mm; expected 500 to 8000 ml: "
        "a part of it, a wrong voxel size, or no head"
    ]
    assert texts(np.zeros((4, 4, 4), bool))[0].startswith("head or brain has 0 ml")


def test_a_voxel_size_ten_times_too_large_is_told_alone():
    (found,) = head_findings("a", head(), (50.0, 50.0, 100.0))
    assert "expected 500 to 8000 ml: a wrong voxel size, or air" in found.text
    assert "the voxel size in the header" in found.line()


def test_the_head_is_the_largest_body_above_air_with_its_holes():
    truth = head()
    volume = np.random.default_rng(0).normal(10, 2, truth.shape) + 90 * truth
    volume[18:22, 22:26, 9:11] = 10
    volume[0, 0] = 200
    found = head_mask(volume, SPACING)
    assert (found & truth).sum() * 2 / (found.sum() + truth.sum()) > 0.94
    assert found[18:22, 22:26, 9:11].all()
    assert not found[0, 0].any()
    assert not head_mask(np.ones((4, 4, 4)), SPACING).any()


def test_the_head_is_found_whatever_value_air_has():
    volume = np.random.default_rng(0).normal(0, 2, head().shape) + 90 * head()
    found = head_mask(volume, SPACING)
    np.testing.assert_array_equal(head_mask(volume - 1000, SPACING), found)
    np.testing.assert_array_equal(head_mask(volume[..., :3], SPACING).shape, (40, 48, 3))
