import pytest
import torch

from rbc_lightning.translators.pix2pixhd.modulated_nets import ColourEncoder, ModulatedGenerator
from rbc_lightning.translators.pix2pixhd.nets import GlobalGenerator
from rbc_lightning.translators.weights import init_conv_weights


@pytest.fixture
def generator():
    return init_conv_weights(ModulatedGenerator(10, 3, 4, n_downsample=2, n_blocks=1), torch.Generator().manual_seed(0))


def make_input(height, width, seed=0):
    return torch.rand(1, 10, height, width, generator=torch.Generator().manual_seed(seed)) * 2 - 1


def test_without_anything_learned_every_instance_has_its_mean_colour(generator):
    torch.nn.init.zeros_(generator.to_image.weight)
    torch.nn.init.zeros_(generator.to_image.bias)
    x = make_input(16, 16)
    x[:, 3:6] = torch.tensor([0.8, -0.2, 0.4]).view(1, 3, 1, 1)
    torch.testing.assert_close(generator(x), 0.97 * x[:, 3:6], rtol=1e-5, atol=1e-6)


def test_black_and_white_styles_stay_finite(generator):
    x = make_input(16, 16).sign().requires_grad_()
    image = generator(x)
    image.sum().backward()
    assert image.isfinite().all()
    assert x.grad.isfinite().all()


def test_a_pixel_depends_on_its_surroundings_only(generator):
    x = make_input(96, 96)
    changed = x.clone()
    changed[..., 80:, :] = make_input(16, 96, seed=1)
    before, after = generator(x), generator(changed)
    # Receptive field: at most 12 pixels of quarter size to each side here.
    assert torch.equal(before[..., :32, :], after[..., :32, :])
    assert not torch.allclose(before[..., 80:, :], after[..., 80:, :])


def test_a_crop_painted_alone_equals_the_whole_away_from_its_border(generator):
    x = make_input(96, 160)
    whole, crop = generator(x), generator(x[..., 32:])
    torch.testing.assert_close(whole[..., 96:], crop[..., 64:], rtol=1e-4, atol=1e-5)


def test_flat_input_gives_a_flat_image_where_transposed_convolutions_leave_a_checkerboard(generator):
    x = make_input(1, 1).expand(1, 10, 96, 96).contiguous()
    inner = generator(x)[..., 40:56, 40:56]
    assert inner.std(dim=(2, 3)).max() < 1e-6
    public = GlobalGenerator(10, 3, 4, 2, 0)
    public.model = torch.nn.Sequential(*(m for m in public.model if not isinstance(m, torch.nn.InstanceNorm2d)))
    assert public(x)[..., 40:56, 40:56].std(dim=(2, 3)).max() > 1e-4


def test_style_gradient_reaches_the_encoder(generator):
    label_map = torch.zeros(1, 16, 16, dtype=torch.int64)
    label_map[:, 4:12, 4:12] = 1
    encoder = ColourEncoder(3, 3, 4, 2)
    style = encoder(torch.rand(1, 3, 16, 16), label_map)
    generator(torch.cat((make_input(16, 16)[:, :4], style), dim=1)).sum().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in encoder.parameters())
