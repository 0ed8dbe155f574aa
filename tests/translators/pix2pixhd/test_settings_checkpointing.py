import torch
from pix2pixhd_helpers import TINY

from rbc_lightning.translators.pix2pixhd.task import Pix2PixHDTask


def test_recomputed_activations_are_not_kept():
    kept = []
    for on in (False, True):
        torch.manual_seed(0)
        task = Pix2PixHDTask(**(TINY | {"n_blocks": 4}), checkpoint_activations=on)
        sizes = []
        with torch.autograd.graph.saved_tensors_hooks(lambda t, s=sizes: s.append(t.numel()) or t, lambda t: t):
            task(torch.rand(1, 3, 32, 32), torch.rand(1, 6, 32, 32), torch.tensor([1]))
        kept.append(sum(sizes))
    assert kept[1] < 0.7 * kept[0]
