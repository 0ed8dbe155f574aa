import re

import numpy as np
import pytest
import torch
from pix2pixhd_helpers import make_samples

from rbc_lightning.data.spec import ImageSpec
from rbc_lightning.errors import InputError
from rbc_lightning.translators import tiling
from rbc_lightning.translators.base import LoadContext
from rbc_lightning.translators.pix2pixhd import translator as module
from rbc_lightning.translators.pix2pixhd.instance_styles import ImageStyles, weights_hash
from rbc_lightning.translators.pix2pixhd.settings import NetSettings
from rbc_lightning.translators.pix2pixhd.styles import StyleBank
from rbc_lightning.translators.pix2pixhd.translator import Pix2PixHDTranslator

SIZES = {"base_channels": 4, "n_downsample": 2, "n_blocks": 1, "encoder_channels": 4, "encoder_downsample": 3}


def make_translator(style="modulated", stage=1):
    torch.manual_seed(0)
    settings = NetSettings(style=style, stage=stage, **SIZES)
    generator, encoder = settings.build_generator(), settings.build_encoder()
    rng = np.random.default_rng(0)
    images = [
        ImageStyles(f"s{k}", rng.uniform(-1, 1, (5, settings.style_channels)).astype(np.float32), np.full(5, 100))
        for k in range(4)
    ]
    return Pix2PixHDTranslator(settings, generator, encoder, StyleBank.cluster(images, weights_hash(encoder)))


@pytest.fixture(scope="module", params=["modulated", "concat"])
def translator(request):
    return make_translator(request.param)


@pytest.fixture
def label_map():
    ids = np.zeros((37, 51), dtype=np.int32)  # no multiple of anything
    ids[4:15, 6:19], ids[4:15, 19:30], ids[25:37, 40:51] = 1, 2, 3
    return ids


def test_images_have_the_label_maps_size(translator, label_map):
    image = translator.paint(label_map, seed=0)
    assert (image.shape, image.dtype) == ((37, 51, 3), np.uint8)
    assert image.std() > 0


def test_same_seed_same_image_other_seed_other_image(translator, label_map):
    first = translator.paint(label_map, seed=0)
    assert np.array_equal(first, translator.paint(label_map, seed=0))
    assert not np.array_equal(first, translator.paint(label_map, seed=1))
    sequence = np.random.SeedSequence(5)
    once = translator.paint(label_map, sequence)
    # The caller's object is left as it was, so a second call sees the same seed.
    assert np.array_equal(once, translator.paint(label_map, sequence))
    assert sequence.n_children_spawned == 0


def test_a_batch_equals_its_images_one_by_one(translator, label_map):
    other = np.ascontiguousarray(label_map[::-1])
    other[other > 0] += 5  # another largest id
    batch = translator.paint_batch(torch.from_numpy(np.stack([label_map, other])).long(), [3, 4])
    assert batch.shape == (2, 3, 37, 51)
    for image, ids, seed in zip(batch, (label_map, other), (3, 4), strict=True):
        single = translator.paint_batch(torch.from_numpy(ids)[None].long(), [seed])[0]
        torch.testing.assert_close(image, single, rtol=1e-4, atol=1e-4)


def test_round_trip_on_disk(translator, label_map, tmp_path):
    translator.save(tmp_path / "made")
    loaded = Pix2PixHDTranslator.load(tmp_path / "made")
    assert sorted(path.name for path in (tmp_path / "made").iterdir()) == ["generator.pt", "styles.npz"]
    assert loaded.settings == translator.settings
    for mode in ("per_image", "per_cell", "cluster:0"):
        assert np.array_equal(loaded.paint(label_map, 7, mode), translator.paint(label_map, 7, mode))


def test_images_of_another_kind_than_the_runs_are_refused(translator, tmp_path):
    translator.save(tmp_path)
    deep = make_samples(1, ImageSpec(value_range=(0, 65535)))
    with pytest.raises(InputError, match=r"makes images of red, green, blue, 0 to 255, where those .* 0 to 65535; train one"):
        Pix2PixHDTranslator.load(tmp_path, LoadContext(deep, 0, "cpu", None))
    Pix2PixHDTranslator.load(tmp_path, LoadContext(make_samples(1), 0, "cpu", None))


def test_style_modes_differ(translator, label_map):
    images = [translator.paint(label_map, 7, mode) for mode in ("per_image", "per_cell", "cluster:0", "cluster:1")]
    assert len({image.tobytes() for image in images}) == 4


def test_generating_leaves_the_global_random_state_alone(translator, label_map):
    before = torch.get_rng_state()
    translator.paint(label_map, 0)
    assert torch.equal(torch.get_rng_state(), before)


def test_another_encoder_and_missing_files_are_refused(tmp_path):
    first = make_translator()
    other = first.settings.build_encoder()
    with pytest.raises(ValueError, match="another encoder: gather the styles again"):
        Pix2PixHDTranslator(first.settings, first.generator, other, first.style_bank)
    with pytest.raises(InputError, match=r"generator\.pt cannot be read \(.*\): make the translator again"):
        Pix2PixHDTranslator.load(tmp_path)
    first.save(tmp_path)
    (tmp_path / "styles.npz").unlink()
    with pytest.raises(InputError, match=r"styles\.npz holds no styles \(.*No such file.*stage=translator"):
        Pix2PixHDTranslator.load(tmp_path)
    StyleBank.cluster([ImageStyles("a", np.zeros((2, 6), np.float32), np.array([9, 9]))], weights_hash(other)).save(
        tmp_path / "styles.npz"
    )
    with pytest.raises(ValueError, match="styles of another encoder"):
        Pix2PixHDTranslator.load(tmp_path)


def test_bad_label_maps_are_refused(label_map):
    translator = make_translator()
    with pytest.raises(TypeError, match="label map must be of an integer type, got float64"):
        translator.paint(label_map.astype(np.float64), 0)
    with pytest.raises(ValueError, match=r"label map must be a non-empty \(H, W\) array, got shape \(1, 37, 51\)"):
        translator.paint(label_map[None], 0)
    with pytest.raises(InputError, match="label map must not hold negative ids, got -1; 0 is the background"):
        translator.paint(label_map.astype(np.int64) - 1, 0)
    with pytest.raises(ValueError, match=r"got shape \(0, 5\)"):
        translator.paint(label_map[:0, :5], 0)
    with pytest.raises(ValueError, match="expected one seed per label map, got 2 for 1"):
        translator.paint_batch(torch.from_numpy(label_map)[None].long(), [0, 1])


@pytest.mark.parametrize("style", ["modulated", "concat"])
def test_the_smallest_images_are_generated_too(style):
    assert make_translator(style=style).paint(np.array([[0, 1, 1]], dtype=np.int32), 0).shape == (1, 3, 3)


@pytest.mark.parametrize("stage", [1, 2])
@pytest.mark.parametrize("style", ["modulated", "concat"])
def test_a_seed_means_the_same_image_for_every_tile(style, stage, label_map):
    translator = make_translator(style, stage)
    ids = torch.from_numpy(np.stack([label_map, label_map[::-1]])).long()
    whole = translator.paint_batch(ids, [3, 4], tile=None)
    for tile in (32, "auto"):
        torch.testing.assert_close(translator.paint_batch(ids, [3, 4], tile=tile), whole, rtol=0, atol=1e-5)
    # A rounding error may tip a pixel over to the next of 256 levels.
    painted = [translator.paint(ids[0].numpy(), 3, tile=tile).astype(int) for tile in (None, 32)]
    assert np.abs(painted[0] - painted[1]).max() <= 1


def test_auto_takes_tiles_where_memory_is_short(label_map, monkeypatch):
    translator, tiles = make_translator(), []
    spied = module.paint_tiled
    monkeypatch.setattr(module, "paint_tiled", lambda *arguments: tiles.append(arguments[2]) or spied(*arguments))
    whole = translator.paint(label_map, 0)
    assert tiles == []
    monkeypatch.setattr(tiling, "_CPU_BUDGET", 1000)
    monkeypatch.setattr(tiling, "_SMALLEST", 16)
    assert np.abs(translator.paint(label_map, 0).astype(int) - whole).max() <= 1
    assert tiles == [16]


@pytest.mark.parametrize("tile", [0, -8, 1.5, "large"])
def test_bad_tiles_are_refused(label_map, tile):
    with pytest.raises(ValueError, match=f"tile must be a number of pixels, \"auto\" or None, got '?{tile}'?"):
        make_translator().paint(label_map, 0, tile=tile)


def test_weights_of_another_shape_are_named_tensor_by_tensor(tmp_path):
    translator = make_translator()
    translator.save(tmp_path)
    path = tmp_path / "generator.pt"
    content = torch.load(path, weights_only=True)
    good = dict(content["generator"])
    bias, weight = good.pop("to_image.bias"), good["stem.weight"]
    torch.save(content | {"generator": good | {"stem.weight": weight[:, :-1], "extra": bias}}, path)
    expected = (
        f"does not fit the settings it was stored with, in 3 tensors: generator.stem.weight: expected shape "
        f"{tuple(weight.shape)}, got {tuple(weight[:, :-1].shape)}; generator.to_image.bias: missing, expected shape (3,); "
        "generator.extra: unexpected, shape (3,). Make the translator again"
    )
    with pytest.raises(InputError, match=re.escape(expected)) as error:
        Pix2PixHDTranslator.load(tmp_path)
    assert "\n" not in str(error.value)
    torch.save(content | {"encoder": make_translator("concat").encoder.state_dict()}, path)
    with pytest.raises(InputError, match=r"tensors: encoder\.model\.0\.weight: missing, expected"):
        Pix2PixHDTranslator.load(tmp_path)


def test_files_that_hold_no_translator_are_refused(tmp_path):
    make_translator().save(tmp_path)
    path = tmp_path / "generator.pt"
    content = torch.load(path, weights_only=True)
    torch.save(content | {"settings": content["settings"] | {"stage": 3}}, path)
    with pytest.raises(InputError, match=r"holds other settings \(stage must be 1 or 2, got 3\): make the translator again"):
        Pix2PixHDTranslator.load(tmp_path)
    torch.save({"settings": 1}, path)
    with pytest.raises(InputError, match=r"holds no encoder, generator, spec: make the translator again"):
        Pix2PixHDTranslator.load(tmp_path)
    path.write_bytes(b"no tensors")
    with pytest.raises(InputError, match=r"generator\.pt cannot be read \(.*\): make the translator again"):
        Pix2PixHDTranslator.load(tmp_path)
