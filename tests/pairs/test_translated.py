"""Pairs of a label map and what a translator makes of it: on disk and while training."""

import pickle
from dataclasses import dataclass

import numpy as np
import pytest
import torch
from pix2pix_helpers import OwnMasks, make_manifest, make_samples, make_train, pix2pix_recipe
from translator_helpers import Flat, FlatRecipe

from rbc_lightning.core.build import build
from rbc_lightning.core.seeds import pair_seeds
from rbc_lightning.core.store import Store
from rbc_lightning.core.trainer import TrainerSettings
from rbc_lightning.data.manifest import Manifest, Samples
from rbc_lightning.errors import InputError
from rbc_lightning.masks.sources import SampledMasks
from rbc_lightning.pairs.synthetic_set import SyntheticSet
from rbc_lightning.pairs.translated import TranslatedPairs
from rbc_lightning.translators.given import GivenTranslator
from rbc_lightning.translators.pix2pix.structures.bank import StructureBank
from rbc_lightning.translators.pix2pix.translator import StructureTranslator

TRAINER = TrainerSettings(precision="32-true", progress_bar=False)


class Styled(Flat):
    """Notes what it is asked for."""

    asked: list = []  # noqa: RUF012 (shared on purpose)

    def paint_sampled(self, mask, seed, style, index):
        self.asked.append((mask, tuple(seed.generate_state(2)), style, index))
        return self.paint(mask.label_map, seed, style)


@dataclass(frozen=True, kw_only=True)
class StyledRecipe(FlatRecipe):
    n_clusters: int = 3

    def assembler(self, store):
        return lambda checkpoint: Styled(self.level, self.train.spec)


def translated(train=None, seed=0, style="per_image", masks=None, translator=None, cls=StyledRecipe):
    train = make_train() if train is None else train
    return TranslatedPairs(
        train=train,
        seed=seed,
        style=style,
        masks=masks or OwnMasks(train=train, seed=seed),
        translator=translator or cls(train=train, seed=seed, trainer=TRAINER),
    )


def test_a_pair_follows_from_its_number_alone(tmp_path):
    Styled.asked.clear()
    store, source = Store(tmp_path, str), translated(seed=5, style="cluster:2")
    draw = source.open(store)
    second, first = draw(1), draw(0)
    mask_seed, image_seed = pair_seeds(5, 1)
    mask = source.masks.open(store)(mask_seed)
    assert np.array_equal(second.label_map, mask.label_map)
    assert np.array_equal(second.image[..., 0] > 0, mask.label_map > 0)
    asked_mask, *asked = Styled.asked[0]
    assert np.array_equal(asked_mask.label_map, mask.label_map)
    assert asked == [tuple(image_seed.generate_state(2)), "cluster:2", 1]
    assert not np.array_equal(first.label_map, second.label_map)


def test_the_group_builds_it_of_what_it_is_given():
    train = make_train()
    spec = {"_target_": "rbc_lightning.pairs.translated.TranslatedPairs"}
    given = {"masks": OwnMasks(train=train, seed=0), "translator": StyledRecipe(train=train, seed=0, trainer=TRAINER)}
    assert build(spec, "pairs", train=train, seed=0, style="per_image", **given).key == translated().key


def test_styles_are_checked():
    for style in ("rainbow", "cluster:", "source:x"):
        with pytest.raises(InputError, match=rf"synthetic\.style={style}; expected per_image, per_cell, cluster:<number> or"):
            translated(style=style)
    with pytest.raises(
        InputError, match=r"synthetic\.style=cluster:3; expected one of cluster:0 to cluster:2 \(.*n_clusters=3"
    ):
        translated(style="cluster:3")


def test_what_decides_the_key():
    first = translated()
    others = [
        translated(style="per_cell"),
        translated(seed=1),
        translated(train=make_train(n=3)),
        translated(masks=SampledMasks(train=make_train(), seed=0)),
        translated(cls=FlatRecipe),
    ]
    assert len({one.key for one in (first, *others)}) == 6
    assert first.key == translated().key
    assert first.translator_key == first.translator.key
    # Without effect where a translator has no styles.
    plain, styled = (translated(translator=pix2pix_recipe(), style=style) for style in ("per_image", "per_cell"))
    assert plain.key == styled.key


def test_what_descends_from_held_out_samples_is_refused(tmp_path):
    store, manifest = Store(tmp_path, str), make_manifest()
    translated().refuse_held_out(store, manifest)
    elsewhere = StyledRecipe(train=make_train(n=5), seed=0, trainer=TRAINER)
    path = store.ensure(elsewhere)
    source = translated(translator=GivenTranslator(path=path, train=make_train(), seed=0, trainer=TRAINER))
    assert source.trained_on(store) == tuple(sorted(make_train(n=5).ancestors))
    for refused in (source.refuse_held_out, source.online):
        with pytest.raises(InputError, match=rf"the translator in {path} descends from sample 's4', which is in the val split"):
            refused(store, manifest)


def test_while_training_label_maps_are_drawn_apart_from_images(tmp_path):
    store, source = Store(tmp_path, str), translated(seed=5)
    draw, paint = source.online(store, make_manifest())
    seed = np.random.SeedSequence([1, 2])
    label_map = draw(seed)
    assert np.array_equal(label_map, source.masks.open(store)(seed).label_map)
    images = paint(torch.from_numpy(np.stack([label_map] * 2)).long(), [3, 4])
    assert (images.shape, images.dtype) == ((2, 3, *label_map.shape), torch.float32)
    assert np.array_equal(images[0, 0].numpy() > 0, label_map > 0)


def test_loader_processes_can_be_sent_the_sampler(tmp_path):
    source = translated(masks=SampledMasks(train=make_train(), seed=0))
    draw, _ = source.online(Store(tmp_path, str), make_manifest())
    again = pickle.loads(pickle.dumps(draw))
    assert np.array_equal(again(np.random.SeedSequence(3)), draw(np.random.SeedSequence(3)))


# --- with structure maps


class GoneLoader:
    """Held-out samples that nobody may look at."""

    where = "gone"

    def image(self):
        raise AssertionError

    label_map = size = image


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    store = Store(tmp_path_factory.mktemp("trained"), str)
    recipe = pix2pix_recipe(trainer=TRAINER)
    return store, recipe, store.ensure(recipe)


def test_each_cell_brings_the_structure_of_the_cell_it_copies(trained, monkeypatch):
    store, recipe, _ = trained
    train = Samples(make_samples())
    gone = [
        type(s)(s.sample_id, s.split, s.group, s.image_sha256, s.label_sha256, GoneLoader())
        for s in make_manifest().samples[4:]
    ]
    source = translated(translator=recipe, masks=SampledMasks(train=train, seed=0))
    rendered, painted = [], []
    render, paint = StructureBank.render, StructureTranslator.paint_with

    def spied_render(self, mask, seed):
        rendered.append((mask.label_map, render(self, mask, seed)))
        return rendered[-1][1]

    def spied_paint(self, label_map, structure, seed):
        painted.append((label_map, structure))
        return paint(self, label_map, structure, seed)

    monkeypatch.setattr(StructureBank, "render", spied_render)
    monkeypatch.setattr(StructureTranslator, "paint_with", spied_paint)
    samples = store.make(SyntheticSet(pairs=source, count=3, manifest=Manifest((*train, *gone))))
    assert len(rendered) == len(painted) == 3
    for sample, (mask, structure), (label_map, given) in zip(samples, rendered, painted, strict=True):
        assert np.array_equal(sample.load_label_map(), mask)
        assert mask is label_map
        assert structure is given
        # Dark cells on bright ground, as the discs of the data set are.
        assert structure[mask > 0].mean() > 0.5 > 0.2 > structure[mask == 0].mean()


def test_a_given_translator_makes_the_same_images(trained):
    store, recipe, path = trained
    given = GivenTranslator(path=path, train=make_train(), seed=0, trainer=TRAINER)
    first, second = (translated(translator=one).open(store)(0) for one in (recipe, given))
    assert np.array_equal(first.image, second.image)
