import pytest
import torch

from rbc_lightning.translators.pix2pixhd.adversary import MultiscaleDiscriminator
from rbc_lightning.translators.pix2pixhd.nets import GlobalGenerator, InstanceEncoder, LocalEnhancer
from rbc_lightning.translators.weights import load_reference_weights


def count(build, *args):
    # On the meta device even the 180 M parameter nets cost nothing.
    with torch.device("meta"):
        return sum(parameter.numel() for parameter in build(*args).parameters())


@pytest.mark.parametrize(
    ("build", "args", "expected"),
    [
        (GlobalGenerator, (3, 3, 16, 4, 9), 11_410_243),
        (GlobalGenerator, (4, 3, 16, 4, 9), 11_411_027),
        (GlobalGenerator, (6, 3, 16, 4, 9), 11_412_595),
        (GlobalGenerator, (7, 3, 16, 4, 9), 11_413_379),
        (GlobalGenerator, (3, 3, 64, 4, 9), 182_443_267),
        (GlobalGenerator, (4, 3, 64, 4, 9), 182_446_403),
        (GlobalGenerator, (6, 3, 64, 4, 9), 182_452_675),
        (GlobalGenerator, (7, 3, 64, 4, 9), 182_455_811),
        (LocalEnhancer, (6, 3, 8, 4, 9, 3), 11_430_027),
        (LocalEnhancer, (6, 3, 16, 4, 9, 3), 45_692_691),
        (LocalEnhancer, (6, 3, 32, 4, 9, 3), 182_715_939),
        (MultiscaleDiscriminator, (6, 16, 3, 2), 351_714),
        (MultiscaleDiscriminator, (6, 16, 3, 3), 527_571),
        (MultiscaleDiscriminator, (4, 16, 3, 2), 350_690),
        (MultiscaleDiscriminator, (7, 16, 3, 2), 352_226),
        (MultiscaleDiscriminator, (6, 64, 3, 2), 5_535_618),
        (InstanceEncoder, (3, 3, 16, 4), 788_803),
    ],
)
def test_parameter_counts_of_the_public_networks(build, args, expected):
    assert count(build, *args) == expected


def test_parts_of_the_enhancer():
    with torch.device("meta"):
        net = LocalEnhancer(6, 3, 8, 4, 9, 3)
    parts = {name: sum(p.numel() for p in part.parameters()) for name, part in net.named_children()}
    assert parts == {"model": 11_410_240, "model1_1": 3_528, "model1_2": 16_259, "downsample": 0}


def test_stage_one_fills_stage_two_by_54_tensors():
    stage_one, stage_two = GlobalGenerator(6, 3, 16, 4, 9), LocalEnhancer(6, 3, 8, 4, 9, 3)
    copied = load_reference_weights(stage_two, stage_one.state_dict(), partial=True)
    assert (len(copied), len(stage_two.state_dict())) == (54, 74)
    assert all(name.startswith("model.") for name in copied)
    for name in copied:
        assert torch.equal(stage_two.state_dict()[name], stage_one.state_dict()[name])


def test_sizes_that_do_not_fit_are_refused_with_the_padded_size():
    with pytest.raises(ValueError, match=r"multiples of 16, got 300 x 480: reflect-pad to 304 x 480"):
        GlobalGenerator(6, 3, 2, 4, 0)(torch.zeros(1, 6, 300, 480))
    with pytest.raises(ValueError, match=r"multiples of 32, got 1200 x 1920: reflect-pad to 1216 x 1920"):
        LocalEnhancer(6, 3, 2, 4, 0, 0)(torch.zeros(1, 6, 1200, 1920))
    with pytest.raises(ValueError, match="n_scales must be at least 1, got 0"):
        MultiscaleDiscriminator(6, 4, n_scales=0)
