from types import SimpleNamespace

import numpy as np
from PIL import Image
from pix2pixhd_helpers import make_samples

from rbc_lightning.translators.pix2pixhd.translator import Pix2PixHDTranslator


def test_every_sample_is_shown_in_both_modes_and_the_first_in_every_cluster(tmp_path):
    calls = []

    class Noted(Pix2PixHDTranslator):
        style_bank = SimpleNamespace(clusters_of=lambda kind: range(2))

        def __init__(self):
            pass

        def picture(self, label_map, seed, style=None):
            calls.append((seed, style))
            return np.full((*label_map.shape, 3), 128, dtype=np.uint8)

    sheets = Noted().sheets(make_samples(2).samples, tmp_path, 7)
    assert calls == [(7, "per_image"), (7, "per_cell"), (8, "per_image"), (8, "per_cell"), (7, "cluster:0"), (7, "cluster:1")]
    assert [Image.open(path).mode for path in sheets] == ["RGB", "RGB"]
