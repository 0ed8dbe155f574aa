import pytest
import torch

from rbc_lightning.pairs.gan.nets import PairCritic, PairGenerator, halvings


def count(net):
    return sum(weight.numel() for weight in net.parameters())


def test_the_counts_of_dcgan():
    """Those of PyTorch's own DCGAN example at 64 px, 100 numbers, width 64, three channels."""
    assert count(PairGenerator(3, 64, 100, 64)) == 3_576_704
    assert count(PairCritic(3, 64, 64)) == 2_765_568


@pytest.mark.parametrize(("size", "start", "times"), [(32, 4, 3), (64, 4, 4), (128, 4, 5), (208, 13, 4), (96, 6, 4)])
def test_sizes(size, start, times):
    assert halvings(size) == (start, times)
    for upsampling in ("nearest", "transposed"):
        pairs = PairGenerator(3, size, 5, 2, upsampling=upsampling)(torch.randn(2, 5))
        assert pairs.shape == (2, 3, size, size)
        assert pairs.abs().max() <= 1
    assert PairCritic(3, size, 2)(pairs).shape == (2,)


@pytest.mark.parametrize(("upsampling", "grid"), [("nearest", False), ("transposed", True)])
def test_even_maps_become_pairs_without_a_grid_where_pixels_are_repeated(upsampling, grid):
    torch.manual_seed(0)
    *_, double, last, _ = PairGenerator(1, 32, 5, 4, "none", upsampling).layers
    even = torch.ones(1, 4, 16, 16)
    inner = (last(double(even)) if upsampling == "nearest" else last(even))[0, 0, 2:-2, 2:-2]
    assert (inner.std() > 1e-3) == grid


@pytest.mark.parametrize("size", [16, 30, 50, 136, 65])
def test_sizes_that_do_not_halve_are_refused(size):
    with pytest.raises(ValueError, match=f"such as 32, 64, 128 or 208, got {size}"):
        halvings(size)


@pytest.mark.parametrize("norm", ["layer", "none"])
def test_without_batch_norm_a_score_is_of_its_pair_alone(norm):
    torch.manual_seed(0)
    critic, pairs = PairCritic(3, 32, 4, norm), torch.randn(4, 3, 32, 32)
    torch.testing.assert_close(critic(pairs)[:1], critic(pairs[:1]))
    assert not [layer for layer in critic.modules() if isinstance(layer, torch.nn.BatchNorm2d)]


def test_the_condition_decides_what_is_drawn_and_how_it_is_judged():
    torch.manual_seed(0)
    generator, critic = (
        PairGenerator(2, 32, 5, 4, "layer", conditioned=True),
        PairCritic(2, 32, 4, "layer", conditioned=True),
    )
    noise, low, high = torch.randn(3, 5), torch.zeros(3), torch.ones(3)
    pairs = generator(noise, low)
    assert not torch.equal(pairs, generator(noise, high))
    assert not torch.equal(critic(pairs, low), critic(pairs, high))
    for net, given in ((generator, noise), (critic, pairs)):
        with pytest.raises(ValueError, match="a number for each pair"):
            net(given)
    with pytest.raises(ValueError, match="pairs alone"):
        PairCritic(2, 32, 4)(pairs, low)
    with pytest.raises(ValueError, match="noise alone"):
        PairGenerator(2, 32, 5, 4)(noise, low)


@pytest.mark.parametrize("name", ["channels", "latent", "base_channels"])
def test_no_numbers_below_one(name):
    with pytest.raises(ValueError, match=f"{name} must be at least 1, got 0"):
        PairGenerator(**{"channels": 3, "size": 32, "latent": 5, "base_channels": 4, name: 0})
