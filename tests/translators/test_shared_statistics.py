import pytest
import torch
from torch import nn

from rbc_lightning.translators.shared_statistics import SharedStatistics, instance_norms, replaced_norms


def halves(x):
    """Two tiles with two columns of surroundings that count nowhere."""
    middle = x.shape[-1] // 2
    rows = slice(0, x.shape[-2])
    return [(x[..., : middle + 2], (rows, slice(0, middle))), (x[..., middle - 2 :], (rows, slice(2, 2 + middle)))]


def gather_all(shared, tiles):
    for _ in range(shared.n_norms):
        for piece, window in tiles:
            shared.gather(piece, window)
        shared.settle()


def test_pooled_statistics_by_hand():
    x = torch.tensor([[[[0.0, 0.0, 6.0, 6.0]]]]).repeat(1, 1, 4, 1)
    shared = SharedStatistics(nn.InstanceNorm2d(1, eps=0.0))
    gather_all(shared, [(x[..., :3], (slice(0, 4), slice(0, 2))), (x[..., 1:], (slice(0, 4), slice(1, 3)))])
    # Mean 3 and variance 9 over all four columns; the overlap counts once.
    assert shared(x[..., :3])[0, 0, 0].tolist() == [-1, -1, 1]
    assert shared(torch.full((1, 1, 2, 2), 12.0)).unique().tolist() == [3]


@pytest.mark.parametrize("affine", [False, True])
def test_tiles_equal_the_whole_layer_by_layer(affine):
    torch.manual_seed(0)
    norms = [nn.InstanceNorm2d(3, affine=affine) for _ in range(2)]
    if affine:
        for norm in norms:
            nn.init.normal_(norm.weight)
            nn.init.normal_(norm.bias)
    network = nn.Sequential(nn.Conv2d(2, 3, 1), norms[0], nn.ReLU(), nn.Conv2d(3, 3, 1), norms[1]).eval()
    x = torch.randn(2, 2, 6, 12) * torch.linspace(1, 5, 12)
    whole = network(x)
    shared = SharedStatistics(network)
    gather_all(shared, halves(x))
    for piece, window in halves(x):
        inside = slice(0, 6) if window[1].start == 0 else slice(6, 12)
        torch.testing.assert_close(shared(piece)[(..., *window)], whole[..., inside], rtol=1e-5, atol=1e-5)


def test_windows_are_scaled_to_strided_layers():
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(2, 3, 2, 2), nn.InstanceNorm2d(3))
    x = torch.randn(1, 2, 4, 12)
    shared = SharedStatistics(network)
    gather_all(shared, [(x[..., :8], (slice(0, 4), slice(0, 6))), (x[..., 4:], (slice(0, 4), slice(2, 8)))])
    torch.testing.assert_close(shared(x), network(x))
    with pytest.raises(
        ValueError, match=r"from 0 to 5 of 8 pixels ends within a pixel of a layer of 4 pixels: align the tiles"
    ):
        SharedStatistics(network).gather(x[..., :8], (slice(0, 4), slice(0, 5)))


def test_open_statistics_are_refused():
    shared = SharedStatistics(nn.InstanceNorm2d(1))
    with pytest.raises(RuntimeError, match="1 layers need statistics, 0 are settled: gather first"):
        shared(torch.zeros(1, 1, 2, 2))


def test_the_network_is_as_before_also_after_an_exception():
    network = nn.Sequential(
        nn.Conv2d(1, 2, 1), nn.InstanceNorm2d(2, affine=True), nn.InstanceNorm2d(2, track_running_stats=True)
    )
    names, x = list(network.state_dict()), torch.randn(1, 1, 5, 5)
    network.eval()
    before = network(x)
    with replaced_norms(network, lambda _norm, x: x + 1):
        assert list(network.state_dict()) == names
        assert not torch.equal(network(x), before)
    with pytest.raises(ZeroDivisionError), replaced_norms(network, lambda _norm, _x: 1 // 0):
        network(x)
    SharedStatistics(network).gather(x, (slice(0, 5), slice(0, 5)))
    assert not any("forward" in vars(module) for module in network.modules())
    assert torch.equal(network(x), before)
    # Running statistics are shared over tiles anyway.
    assert instance_norms(network) == [network[1]]
