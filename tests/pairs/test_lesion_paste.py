"""Lesions of other training patients pasted into training slices."""

import numpy as np
import pytest
from scipy import ndimage
from slice_samples import slice_manifest

from rbc_lightning.core.build import build
from rbc_lightning.core.store import Store
from rbc_lightning.data.lineage import refuse_held_out
from rbc_lightning.data.manifest import Manifest, Samples
from rbc_lightning.data.sample import ArrayPair, Sample
from rbc_lightning.data.spec import ImageSpec
from rbc_lightning.errors import InputError

SPEC = ImageSpec(
    channels=("FLAIR", "T1w"),
    value_range=(0, 4095),
    labels="classes",
    classes=("lesion",),
    objects="bright",
    spacing=(2.0, 2.0),
    context=("ventricles", "brain", "head", "dark"),
    upright=True,
)
LESION, VENTRICLES, BRAIN, HEAD = 1, 2, 3, 4
SIDE = 40


def brain_slice(name, group, lesion, level=1000, bright=600, ventricles=True, split="train"):
    """A square brain in a head; ventricles in its middle; a lesion of three by two pixels at a place, 600 above the brain."""
    labels = np.full((SIDE, SIDE), HEAD, np.int32)
    labels[4:-4, 4:-4] = BRAIN
    if ventricles:
        labels[16:24, 18:22] = VENTRICLES
    if lesion:
        labels[lesion[0] : lesion[0] + 3, lesion[1] : lesion[1] + 2] = LESION
    image = np.select([labels == HEAD, labels == VENTRICLES], [3000, 200], level)
    image = image + bright * (labels == LESION)
    pair = ArrayPair(np.stack([image, image // 2], axis=-1).astype(np.uint16), labels, name)
    return Sample(name, split, group, *pair.sha256, pair, spec=SPEC, volume=name, slice=0)


def source(samples, seed=0, **settings):
    spec = {"_target_": "rbc_lightning.pairs.lesion_paste.LesionPastePairs", **settings}
    more = {"style": "per_image", "masks": None, "translator": None}
    return build(spec, "pairs", train=Samples(tuple(samples)), seed=seed, **more)


def drawn(samples, tmp_path, count=6, **settings):
    draw = source(samples, **settings).open(Store(tmp_path, str))
    return [draw(index) for index in range(count)], draw


def test_a_lesion_of_another_patient_lies_as_far_from_the_ventricles_with_its_contrast(tmp_path):
    """The donor's lesion begins 6 pixels left of the ventricles: 10 to 12 mm; the host's brain is darker by 300."""
    samples = [brain_slice("a", "a", (18, 11)), brain_slice("b", "b", None, level=700)]
    pairs, draw = drawn(samples, tmp_path, 12, lesions=[1, 1], feather=0)
    hosts = [pair for pair in pairs if pair.image[5, 5, 0] == 700]
    pasted = [pair for pair in hosts if pair.label_map.any()]
    assert len(pasted) > 2
    ventricles = samples[1].with_context().load_label_map() == VENTRICLES
    far = ndimage.distance_transform_edt(~ventricles, sampling=2.0)
    for pair in pasted:
        own = pair.label_map == LESION
        assert own.sum() == 6
        assert abs(far[own].mean() - 13) <= 5
        assert (pair.image[own] == (1300, 650)).all()
        assert (pair.image[~own] == samples[1].load_image()[~own]).all()
    assert len({tuple(np.argwhere(pair.label_map)[0]) for pair in pasted}) > 1
    again = draw(3)
    assert np.array_equal(again.image, pairs[3].image)
    assert np.array_equal(again.label_map, pairs[3].label_map)


def test_without_ventricles_the_border_of_the_brain_tells_where(tmp_path):
    samples = [brain_slice("a", "a", (5, 20)), brain_slice("b", "b", None, level=700, ventricles=False)]
    pairs, _ = drawn(samples, tmp_path, 12, lesions=[1, 1])
    places = np.concatenate([np.argwhere(pair.label_map) for pair in pairs if pair.image[30, 30, 0] == 700])
    assert len(places)
    # 2 to 6 mm from the border, give or take 2.
    assert np.minimum(places - 3, 36 - places).min(axis=1).max() <= 5


def test_what_is_there_stays_and_nothing_leaves_the_brain(tmp_path):
    samples = [brain_slice("a", "a", (18, 11)), brain_slice("b", "b", (18, 26))]
    for pair in drawn(samples, tmp_path, 8, lesions=[3, 3])[0]:
        (host,) = [s for s in samples if (pair.label_map[s.load_label_map() > 0] == LESION).all()]
        outside = np.isin(host.with_context().load_label_map(), [VENTRICLES, HEAD])
        assert not pair.label_map[outside].any()
        assert ndimage.label(pair.label_map, np.ones((3, 3)))[1] > 1


def test_pairs_descend_from_training_slices_alone(tmp_path):
    train, test = brain_slice("a", "a", (18, 11)), brain_slice("c", "c", (18, 11), level=900, split="test")
    made, store = source([train]), Store(tmp_path, str)
    assert [ancestor.sample_id for ancestor in made.trained_on(store)] == ["a"]
    made.refuse_held_out(store, Manifest((train, test)))
    with pytest.raises(InputError, match="'c'"):
        refuse_held_out((test,), "the pair source", source([test]).trained_on(store))


def test_what_cannot_be_pasted_is_refused(tmp_path):
    store = Store(tmp_path, str)
    with pytest.raises(InputError, match="none of the 1 training slices shows a lesion"):
        source([brain_slice("a", "a", None)]).open(store)
    with pytest.raises(InputError, match=r"expected data\.outline=brain"):
        source(slice_manifest().split("train")).open(store)
    for settings, message in (
        ({"lesions": [3, 1]}, r"pairs.lesions=\[3, 1\]; expected \[smallest, largest\]"),
        ({"lesions": [0, 1]}, "from 1 up"),
        ({"tolerance": -1}, "pairs.tolerance=-1; expected a number of at least 0"),
    ):
        with pytest.raises(InputError, match=message):
            source([brain_slice("a", "a", (18, 11))], **settings)
