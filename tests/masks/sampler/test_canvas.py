import numpy as np

from rbc_lightning.masks.sampler.canvas import new_canvas


def test_the_arrays_of_a_canvas():
    canvas = new_canvas(30, 100, 7, 8, reach=20, margin=0)
    assert canvas.label_map.shape == canvas.colors.shape == (30, 100)
    # A guard of 23 pixels: 23 rows, and a word of columns, on either side.
    assert canvas.occupied.shape == (30 + 46, 2 + 2 + 1)
    assert canvas.origin.tolist() == [23, 64]
    assert canvas.boxes.shape == (7, 4)
    assert len(canvas.taken) == 9
    assert canvas.centers.shape == (7, 2)
    assert not any(np.any(array) for name, array in canvas._asdict().items() if name not in ("frame", "origin"))


def test_the_frame_holds_image_and_margin():
    canvas = new_canvas(30, 100, 7, 8, reach=20, margin=12)
    assert canvas.origin.tolist() == [35, 64]
    bits = [k for k in range(64 * len(canvas.frame)) if (int(canvas.frame[k // 64]) >> (k % 64)) & 1]
    assert bits == list(range(64 - 12, 64 + 100 + 12))
    # Room for three times the cells that the margin suggests: 7 + 3 (54 124 / 3000 - 1) 17, rounded up.
    assert len(canvas.centers) == 7 + 63
