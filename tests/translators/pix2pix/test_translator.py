"""Painting with a trained Pix2Pix: any size, tiles that blend, seeds, files."""

import dataclasses
import re

import numpy as np
import pytest
import torch
from pix2pix_helpers import GREY_16, TWO_16, make_train, pair_of
from torch import nn

from rbc_lightning.core.store import Store
from rbc_lightning.errors import InputError
from rbc_lightning.masks import SampledMask
from rbc_lightning.masks.sources import SampledMasks
from rbc_lightning.translators.base import LoadContext
from rbc_lightning.translators.pix2pix.structures.recipe import StructureBankRecipe
from rbc_lightning.translators.pix2pix.task import ModeSeekingPix2PixTask
from rbc_lightning.translators.pix2pix.translator import WEIGHTS_FILE, StructureSettings, StructureTranslator, read_generator

SIDE = 16
SIZES = {"size": SIDE, "base_channels": 4, "n_downsample": 4, "discriminator_channels": 4}
# Smaller than a tile in one direction or both, one tile, no multiple, larger.
SHAPES = [(1, 3), (5, 7), (16, 16), (9, 40), (37, 53)]


def make_task(**options):
    torch.manual_seed(0)
    task = ModeSeekingPix2PixTask(**SIZES | options)
    for weight in task.generator.parameters():
        if weight.ndim > 1:
            weight.data *= 4  # so that a fresh generator paints pictures that 8 bits tell apart
    return task


def make_translator(noise=True, **options):
    return StructureTranslator.from_task(make_task(**options), noise)


def make_condition(height, width, seed=0):
    rng = np.random.default_rng(seed)
    return rng.integers(0, 3, (height, width)).astype(np.int32), rng.integers(0, 2, (height, width)).astype(np.uint8)


class Known(nn.Module):
    """A generator whose images are a known function of the condition."""

    def __init__(self, paint):
        super().__init__()
        self.paint, self.unused = paint, nn.Parameter(torch.zeros(1))

    def forward(self, x):
        assert x.shape[-2:] == (SIDE, SIDE)
        return self.paint(x)


def known(paint, **options):
    return StructureTranslator(make_translator(**options).settings, Known(paint))


# --- sizes and tiles


@pytest.mark.parametrize(("height", "width"), SHAPES)
def test_a_constant_generator_gives_a_constant_image(height, width):
    image = known(lambda x: torch.full((len(x), 3, SIDE, SIDE), 0.2)).paint_with(*make_condition(height, width), 0)
    assert (image.shape, image.dtype) == ((height, width, 3), np.uint8)
    assert np.unique(image).tolist() == [153]  # 0.6 of 255


@pytest.mark.parametrize(("height", "width"), SHAPES)
def test_every_pixel_is_painted_from_its_own_condition(height, width):
    label_map, structure = make_condition(height, width)
    image = known(lambda x: torch.stack([x[:, 0], x[:, 1], -x[:, 0]], 1)).paint_with(label_map, structure, 0)
    mask = (label_map > 0).astype(np.uint8) * 255
    assert np.array_equal(image, np.stack([mask, structure * 255, 255 - mask], 2))


def test_an_image_of_one_tile_is_what_the_generator_makes_of_it():
    translator, (label_map, structure) = make_translator(noise=False), make_condition(SIDE, SIDE)
    condition = torch.from_numpy(np.stack([label_map > 0, structure]) * 2.0 - 1).float()[None]
    with torch.no_grad():
        expected = (translator.generator(condition)[0] + 1) / 2 * 255
    image = translator.paint_with(label_map, structure, 0)
    assert np.abs(image - expected.permute(1, 2, 0).numpy()).max() <= 0.5 + 1e-3
    assert image.std() > 1


# --- seeds


@pytest.mark.parametrize(("noise", "options"), [(True, {}), (False, {"latent_channels": 2, "second": "latent"})])
def test_same_seed_same_image_other_seed_another_one(noise, options):
    translator, condition = make_translator(noise, **options), make_condition(37, 21)
    first = translator.paint_with(*condition, 0)
    assert np.array_equal(first, translator.paint_with(*condition, 0))
    assert not np.array_equal(first, translator.paint_with(*condition, 1))
    sequence = np.random.SeedSequence(5)
    once = translator.paint_with(*condition, sequence)
    # The caller's object is left as it was, so a second call sees the same seed.
    assert np.array_equal(once, translator.paint_with(*condition, sequence))
    assert sequence.n_children_spawned == 0


def test_without_noise_only_the_structure_makes_another_image():
    translator, (label_map, structure) = make_translator(noise=False), make_condition(37, 21)
    first = translator.paint_with(label_map, structure, 0)
    assert np.array_equal(first, translator.paint_with(label_map, structure, 1))
    assert not np.array_equal(first, translator.paint_with(label_map, 1 - structure, 0))


def test_a_generator_without_structure_maps_paints_masks_alone():
    translator, (label_map, structure) = make_translator(noise=False, structure=False), make_condition(21, 18)
    assert np.array_equal(translator.paint_with(label_map, None, 0), translator.paint_with(label_map, structure, 0))


def test_painting_leaves_the_global_random_state_alone():
    translator, before = make_translator(), torch.get_rng_state()
    translator.paint_with(*make_condition(20, 20), 0)
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(12)
    first = translator.paint_with(*make_condition(20, 20), 0)
    torch.manual_seed(13)
    assert np.array_equal(first, translator.paint_with(*make_condition(20, 20), 0))


# --- files


@pytest.mark.parametrize("options", [{}, {"structure": False, "kernel_size": 4, "discriminator": "patch"}], ids=str)
def test_round_trip_on_disk(tmp_path, options):
    options = options | ({"discriminator_strides": (2, 1)} if options else {})
    task = make_task(**options)
    translator = StructureTranslator.from_task(task)
    translator.save(tmp_path / "made")
    assert [path.name for path in (tmp_path / "made").iterdir()] == [WEIGHTS_FILE]
    loaded = StructureTranslator(*read_generator(tmp_path / "made"))
    assert loaded.settings == translator.settings
    condition = make_condition(21, 35)
    assert np.array_equal(loaded.paint_with(*condition, 7), translator.paint_with(*condition, 7))
    for name, tensor in task.generator.state_dict().items():
        assert torch.equal(tensor, loaded.generator.state_dict()[name])


def test_a_translator_keeps_its_weights_when_the_task_goes_on(tmp_path):
    task = make_task()
    translator, condition = StructureTranslator.from_task(task), make_condition(16, 16)
    first = translator.paint_with(*condition, 0)
    for weight in task.generator.parameters():
        weight.data += 1
    assert np.array_equal(first, translator.paint_with(*condition, 0))
    assert task.generator.training
    assert not task.generator.keep_dropout


def test_files_that_hold_no_translator_are_refused(tmp_path):
    with pytest.raises(InputError, match=r"structure_generator\.pt cannot be read \(.*\): make the translator again"):
        read_generator(tmp_path)
    translator = make_translator()
    translator.save(tmp_path)
    path = tmp_path / WEIGHTS_FILE
    content = torch.load(path, weights_only=True)
    name, weight = next((name, weight) for name, weight in content["generator"].items() if weight.ndim == 4)
    wrong = content["generator"] | {name: weight[:, :1]}
    torch.save(content | {"generator": wrong}, path)
    with pytest.raises(InputError, match=rf"in 1 tensors: generator\.{re.escape(name)}: expected .*Make the translator again"):
        read_generator(tmp_path)
    for settings, message in (
        ({"norm": "layer"}, "unknown norm 'layer'"),
        ({"stain": 1}, "unexpected keyword argument 'stain'"),
    ):
        torch.save(content | {"settings": content["settings"] | settings}, path)
        with pytest.raises(InputError, match=rf"holds other settings \(.*{message}.*\): make the translator again"):
            read_generator(tmp_path)
    torch.save({"settings": {}}, path)
    with pytest.raises(InputError, match=r"holds no generator: make the translator again"):
        read_generator(tmp_path)


# --- structure maps of the training cells

# Grey level between the cells and their pale centres: cells then differ in structure.
PALE = 140


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return Store(tmp_path_factory.mktemp("structures"), str)


@pytest.fixture(scope="module")
def bank(store):
    return store.make(StructureBankRecipe.of(make_train(), PALE))


class Shown(StructureTranslator):
    """Shows the structure map it is given, and remembers the seeds."""

    def paint_with(self, label_map, structure, seed):
        self.seeds = [*getattr(self, "seeds", []), tuple(seed.generate_state(2))]
        shown = np.zeros(label_map.shape, np.uint8) if structure is None else structure
        return np.repeat(shown[..., None] * 255, 3, axis=2)


def shown(bank):
    return Shown(make_translator().settings, nn.Conv2d(1, 1, 1), bank)


def test_the_seed_decides_the_structure_map(bank):
    translator, (_, label_map) = shown(bank), pair_of(7)
    sequence = np.random.SeedSequence(4, spawn_key=(1,))
    first, again, other = (translator.paint(label_map, seed, "per_image") for seed in (sequence, sequence, 5))
    assert sequence.n_children_spawned == 0
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)
    assert np.array_equal(first[..., 0], translator.draw_structure(label_map, sequence) * 255)
    batch = translator.paint_batch(torch.from_numpy(np.stack([label_map] * 2)).long(), [5, 6])
    assert (batch.shape, batch.dtype) == ((2, 3, *label_map.shape), torch.float32)
    assert np.array_equal(batch[0].permute(1, 2, 0).numpy(), other / 255)
    assert not torch.equal(batch[0], batch[1])
    assert len(set(translator.seeds)) == len(translator.seeds) - 2 == 3


def test_cells_of_a_sampled_mask_bring_the_structure_of_the_cell_they_copy(store, bank):
    mask = SampledMasks(train=make_train(), seed=0).open(store)(3)
    image = shown(bank).paint_sampled(mask, 7, "per_image", 0)
    # As borrowing would not give it; background depends on the seed alone.
    inside = mask.label_map > 0
    assert np.array_equal(image[inside, 0], bank.render(mask, 8)[inside] * 255)
    assert not np.array_equal(image[inside, 0], bank.borrow_structures(mask.label_map, 8)[inside] * 255)


def test_cells_of_which_nothing_is_known_borrow_a_structure(bank):
    translator, mask = shown(bank), SampledMask.from_label_map(pair_of(7)[1])
    assert np.array_equal(translator.paint_sampled(mask, 7, "per_image", 0), translator.paint(mask.label_map, 7))


def test_without_a_bank_there_is_no_structure():
    label_map = pair_of(7)[1]
    assert shown(None).draw_structure(label_map, 0) is None
    assert not shown(None).paint(label_map, 0).any()


# --- kinds of images


@pytest.mark.parametrize("spec", [GREY_16, TWO_16], ids=lambda spec: "_".join(spec.channels))
def test_images_are_of_the_training_images_kind(tmp_path, store, spec):
    kind = {"channels": spec.channels, "value_range": spec.value_range, "objects": spec.objects}
    translator, train = make_translator(image=kind), make_train(spec)
    translator.save(tmp_path)
    loaded = StructureTranslator.load(tmp_path, LoadContext(train, 0, "cpu", store))
    label_map = pair_of(7)[1]
    image = loaded.paint(label_map, 0)
    assert (image.shape, image.dtype) == ((*label_map.shape, spec.n_channels), np.uint16)
    assert image.max() <= spec.value_range[1] < 4 * int(image.max())
    batch = loaded.paint_batch(torch.from_numpy(label_map)[None].long(), [0])
    np.testing.assert_allclose(batch[0].permute(1, 2, 0).numpy() * spec.value_range[1], image, atol=0.01)
    with pytest.raises(
        InputError, match=r"makes images of dapi.*, 0 to \d+, where those of the data set are red, green, blue, 0 to 255"
    ):
        StructureTranslator.load(tmp_path, LoadContext(make_train(), 0, "cpu", store))


# --- bad input


def test_bad_conditions_are_refused():
    translator, (label_map, structure) = make_translator(), make_condition(20, 24)
    with pytest.raises(ValueError, match=r"expected a structure map of the label map's shape \(20, 24\), got shape \(24, 20\)"):
        translator.paint_with(label_map, structure.T, 0)
    with pytest.raises(ValueError, match=r"expected a structure map .* got none"):
        translator.paint_with(label_map, None, 0)
    with pytest.raises(TypeError, match="label map must be of an integer type, got float64"):
        translator.paint_with(label_map.astype(float), structure, 0)
    with pytest.raises(ValueError, match=r"label map must be a non-empty \(H, W\) array, got shape \(1, 20, 24\)"):
        translator.paint_with(label_map[None], structure, 0)
    with pytest.raises(ValueError, match=r"got shape \(0, 24\)"):
        translator.paint_with(label_map[:0], structure, 0)
    with pytest.raises(InputError, match="label map must not hold negative ids, got -1; 0 is the background"):
        translator.paint_with(label_map - 1, structure, 0)


def test_settings_take_their_names_from_the_task():
    settings = make_translator(noise=False, structure_method="li").settings
    task = make_task()
    assert settings == StructureSettings(
        **{f.name: task.hparams[f.name] for f in dataclasses.fields(settings) if f.name in task.hparams}
        | {"noise": False, "structure_method": "li"}
    )
    assert (settings.size, settings.structure_method, settings.noise) == (SIDE, "li", False)
