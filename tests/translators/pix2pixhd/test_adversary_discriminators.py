import torch

from rbc_lightning.translators.pix2pixhd.adversary import MultiscaleDiscriminator


def test_discriminator_shapes_full_resolution_first():
    with torch.no_grad():
        outputs = MultiscaleDiscriminator(6, 1)(torch.zeros(1, 6, 640, 1024))
    assert [tuple(layers[-1].shape) for layers in outputs] == [(1, 1, 83, 131), (1, 1, 43, 67)]
    assert [len(layers) for layers in outputs] == [5, 5]


def test_full_resolution_is_judged_by_the_highest_numbered_weights():
    net = MultiscaleDiscriminator(1, 2)
    x = torch.randn(1, 1, 32, 32)
    before = net(x)
    with torch.no_grad():
        net.get_submodule("scale1_layer0")[0].bias += 1
    after = net(x)
    assert not torch.equal(before[0][0], after[0][0])
    assert torch.equal(before[1][0], after[1][0])
