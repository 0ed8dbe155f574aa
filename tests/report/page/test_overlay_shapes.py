"""Marks over an image."""

from rbc_lightning.report.page.overlay_shapes import line_width


def test_lines_grow_with_the_image():
    assert [line_width(shape) for shape in ((96, 128), (480, 640), (1200, 1920))] == [1, 2, 4]
