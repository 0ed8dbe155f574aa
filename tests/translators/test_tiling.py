import pytest
import torch
from torch import nn

from rbc_lightning.translators import tiling
from rbc_lightning.translators.pix2pixhd.nets import GlobalGenerator, LocalEnhancer, ResidualBlock
from rbc_lightning.translators.pix2pixhd.settings import NetSettings
from rbc_lightning.translators.receptive_field import receptive_radius
from rbc_lightning.translators.tiling import paint_tiled, tile_for_memory
from rbc_lightning.translators.weights import init_conv_weights

MULTIPLE = 8
CHANNELS = 6
GENERATORS = {
    "global": lambda: GlobalGenerator(CHANNELS, 3, 4, 2, 2),
    "without_blocks": lambda: GlobalGenerator(CHANNELS, 3, 4, 2, 0),
    "enhancer": lambda: LocalEnhancer(CHANNELS, 3, 4, 2, 1, 1),
    "modulated": lambda: NetSettings("modulated", 1, 4, 2, 1).build_generator(),
    "modulated_enhancer": lambda: NetSettings("modulated", 2, 4, 2, 1, 1).build_generator(),
    # Known to nobody: an instance norm within, at once full and quarter resolution.
    "other": lambda: nn.Sequential(
        nn.Conv2d(CHANNELS, 4, 4, 4),
        nn.InstanceNorm2d(4, affine=True),
        ResidualBlock(4),
        nn.Upsample(scale_factor=4.0),
        nn.Tanh(),
    ),
}


def build(name):
    torch.manual_seed(0)
    return init_conv_weights(GENERATORS[name]()).eval()


def make_input(generator, height=48, width=80, n_images=1):
    """An image whose left is unlike its right, so that the statistics of a tile are not those of the whole."""
    channels = next(module for module in generator.modules() if isinstance(module, nn.Conv2d)).in_channels
    torch.manual_seed(1)
    x = torch.rand(n_images, channels, height, width) - 0.5
    return x * torch.linspace(0.1, 1, width) + torch.linspace(-0.4, 0.4, width)


def level_steps(difference, border):
    """Mean step of the level of a map (B, C, H, W) at column `border`, and everywhere else; columns by eights."""
    levels = difference.unflatten(-1, (-1, 8)).mean(dim=(0, 2, 4))
    steps = levels.diff(dim=-1).abs().mean(dim=0)
    at = border // 8 - 1
    return float(steps[at]), float(torch.cat((steps[:at], steps[at + 1 :])).mean())


@pytest.mark.parametrize("tile", [32, 1000])
@pytest.mark.parametrize("name", GENERATORS)
@torch.inference_mode()
def test_tiles_equal_one_piece(name, tile):
    generator = build(name)
    x = make_input(generator)
    torch.testing.assert_close(paint_tiled(generator, x, tile, MULTIPLE), generator(x), rtol=0, atol=1e-5)
    assert not any("forward" in vars(module) for module in generator.modules())


@torch.inference_mode()
def test_every_image_of_a_batch_has_its_own_statistics():
    generator = build("other")
    x = make_input(generator, n_images=2)
    torch.testing.assert_close(paint_tiled(generator, x, 32, MULTIPLE), generator(x), rtol=0, atol=1e-5)


@pytest.mark.parametrize("name", ["global", "enhancer", "other"])
@torch.inference_mode()
def test_no_seam_where_statistics_of_the_tiles_leave_one(name):
    generator = build(name)
    x, border = make_input(generator, width=192), 96
    whole = generator(x)
    shared = paint_tiled(generator, x, border, MULTIPLE) - whole
    assert shared.abs().max() < 1e-5
    # Both tiles with a margin of 48 pixels, each normalised with its own statistics.
    own = (
        torch.cat((generator(x[..., : border + 48])[..., :border], generator(x[..., border - 48 :])[..., 48:]), dim=-1) - whole
    )
    at_border, elsewhere = level_steps(own, border)
    assert at_border > 2 * elsewhere
    assert level_steps(shared, border)[0] < 1e-3 * at_border


@torch.inference_mode()
def test_the_margin_is_needed(monkeypatch):
    generator = build("modulated")
    x = make_input(generator)
    monkeypatch.setattr(tiling, "receptive_radius", lambda *_: 0)
    # A hundred times the error that the measured margin leaves at most.
    assert (paint_tiled(generator, x, 32, MULTIPLE) - generator(x)).abs().max() > 1e-3


@pytest.mark.parametrize("name", ["global", "modulated"])
@torch.inference_mode()
def test_no_piece_is_larger_than_a_tile_with_its_margins(name, monkeypatch):
    generator = build(name)
    x, sides = make_input(generator, 160, 160), []
    # Of the public network the first layer is met by the pieces of the down path: 7 x 7, then strides 2 and 2.
    radius, layer = (
        (2, generator.model[1]) if name == "global" else (receptive_radius(generator, x.shape[1], MULTIPLE), generator)
    )
    layer.register_forward_hook(lambda module, inputs, output: sides.append(max(output.shape[-2:])))
    monkeypatch.setattr(tiling, "receptive_radius", lambda *_: radius)
    paint_tiled(generator, x, 32, MULTIPLE)
    unit = 4 if name == "global" else MULTIPLE
    assert max(sides) == 32 + 2 * radius * unit < 160


def test_spans_by_hand():
    spans = list(tiling._spans(7, 3, 1))
    assert [span.own for span in spans] == [slice(0, 2), slice(2, 4), slice(4, 7)]
    assert [span.piece for span in spans] == [slice(0, 3), slice(1, 5), slice(3, 7)]
    assert [span.window for span in spans] == [slice(0, 2), slice(1, 3), slice(1, 4)]
    assert tiling._pixels(spans[1].piece, spans[2].window, 8) == (slice(8, 40), slice(8, 32))


def test_memory_decides_between_one_piece_and_tiles(monkeypatch):
    generator = nn.Conv2d(2, 3, 17, padding=8)  # one unit of 8 pixels on every side
    monkeypatch.setattr(tiling, "_CPU_BUDGET", 100 * 1000**2)
    assert tile_for_memory(generator, 100.0, (1, 2, 1000, 1000), 8) is None
    assert tile_for_memory(generator, 100.0, (1, 2, 1000, 1008), 8) == 1000 - 2 * 8
    assert tile_for_memory(generator, 100.0, (2, 2, 1000, 504), 8) == 1000 - 2 * 8
    assert tile_for_memory(generator, 1e9, (1, 2, 1000, 1000), 8) == 128


def test_a_gpu_is_asked_for_its_free_memory(monkeypatch):
    for name, value in {"mem_get_info": (700, 9999), "memory_reserved": 400, "memory_allocated": 100}.items():
        monkeypatch.setattr(torch.cuda, name, lambda device, value=value: value)
    assert tiling._budget(torch.device("cuda")) == 0.8 * (700 + 400 - 100)


def test_bad_arguments_are_refused():
    generator = build("global")
    with pytest.raises(ValueError, match="tile must be at least 1 pixel, got 0"):
        paint_tiled(generator, make_input(generator), 0, MULTIPLE)
    with pytest.raises(ValueError, match="must be multiples of 8, got 60 x 80: reflect-pad to 64 x 80 and crop back, or cut"):
        paint_tiled(generator, make_input(generator, 60), 16, MULTIPLE)
