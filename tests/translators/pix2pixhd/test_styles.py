import numpy as np
import pytest
from torch import nn

from rbc_lightning.translators.pix2pixhd.instance_styles import BACKGROUND, CELL, ImageStyles, weights_hash
from rbc_lightning.translators.pix2pixhd.styles import StyleBank


def make_images(n_images=3, n_cells=6, blob=20):
    """Images of blobs `blob` px wide on 640 x 1024: image k has background k and cells between k and k + 0.5."""
    rng = np.random.default_rng(0)
    images = []
    for k in range(n_images):
        vectors = np.concatenate(([[k]], k + rng.uniform(0, 0.5, (n_cells, 1)))).astype(np.float32)
        areas = np.array([640 * 1024 - n_cells * blob**2] + [blob**2] * n_cells)
        images.append(ImageStyles(f"s{k}", np.repeat(vectors, 2, axis=1), areas))
    return images


def test_small_cells_are_clustered():
    # The reference's threshold, a 64th of the image, is 10,240 px here; a blob has 400.
    bank = StyleBank.cluster(make_images(), "hash")
    assert len(bank.clusters_of(CELL)) == 10
    assert len(bank.clusters_of(BACKGROUND)) == 3
    assert (bank.classes == CELL).sum() == 18


def test_threshold_is_relative_to_the_class_median_and_absent_ids_are_left_out():
    areas = np.array([5000, 100, 104, 96, 49, 51, 0])
    vectors = np.arange(7, dtype=np.float32)[:, None]
    # median of the five cells present: 96; half of it: 48
    assert StyleBank.cluster([ImageStyles("a", vectors, areas)], "h").vectors[:, 0].tolist() == [0, 1, 2, 3, 4, 5]
    areas[4] = 47
    kept = StyleBank.cluster([ImageStyles("a", vectors, areas)], "h").vectors[:, 0]
    assert kept.tolist() == [0, 1, 2, 3, 5]


@pytest.mark.parametrize("mode", ["per_image", "per_cell", "cluster:2"])
def test_every_instance_gets_a_style_of_its_class(mode):
    bank = StyleBank.cluster(make_images(), "hash")
    table = bank.sample(1500, seed=0, mode=mode)
    assert table.shape == (1500, 2)
    cells = np.concatenate((bank.vectors[bank.classes == CELL], bank.centers[bank.clusters_of(CELL)]))
    assert np.isin(table[1:, 0], cells[:, 0]).all()
    assert table[0, 0] in {0.0, 1.0, 2.0}


def test_per_image_styles_come_from_one_image():
    bank = StyleBank.cluster(make_images(), "hash")
    seen = set()
    for seed in range(30):
        table = bank.sample(50, seed, "per_image")[:, 0]
        assert ((table >= table[0]) & (table <= table[0] + 0.5)).all()
        assert len(np.unique(table)) > 3
        seen.add(table[0])
    assert seen == {0.0, 1.0, 2.0}


def test_per_cell_mixes_clusters_of_all_images():
    table = StyleBank.cluster(make_images(), "hash").sample(200, 0, "per_cell")[1:, 0]
    assert len(np.unique(table)) == 10
    assert np.unique(np.floor(table)).tolist() == [0.0, 1.0, 2.0]


def test_a_fixed_cluster_takes_the_background_its_cells_came_with():
    bank = StyleBank.cluster(make_images(), "hash")
    for number, center in enumerate(bank.clusters_of(CELL)):
        table = bank.sample(9, seed=0, mode=f"cluster:{number}")
        assert (table[1:] == bank.centers[center]).all()
        assert table[0, 0] == np.floor(bank.centers[center, 0])


def test_same_seed_same_styles_other_seed_others():
    bank = StyleBank.cluster(make_images(), "hash")
    for mode in ("per_image", "per_cell"):
        assert np.array_equal(bank.sample(20, 0, mode), bank.sample(20, 0, mode))
        assert not np.array_equal(bank.sample(20, 0, mode), bank.sample(20, 1, mode))


def test_round_trip_and_another_encoder(tmp_path):
    first, second = nn.Conv2d(1, 1, 1), nn.Conv2d(1, 1, 1)
    bank = StyleBank.cluster(make_images(), weights_hash(first))
    bank.save(tmp_path / "styles.npz")
    loaded = StyleBank.load(tmp_path / "styles.npz", weights_hash(first))
    assert loaded.source_ids == ("s0", "s1", "s2")
    assert np.array_equal(loaded.sample(20, 0), bank.sample(20, 0))
    assert [path.name for path in tmp_path.iterdir()] == ["styles.npz"]
    with pytest.raises(ValueError, match=r"styles of another encoder .*gather the styles again"):
        StyleBank.load(tmp_path / "styles.npz", weights_hash(second))


def test_bad_input_is_refused(tmp_path):
    images = make_images()
    bank = StyleBank.cluster(images, "hash")
    with pytest.raises(ValueError, match="unknown style mode 'random': choose per_image, per_cell, cluster"):
        bank.sample(3, 0, "random")
    with pytest.raises(ValueError, match="there are cell clusters 0 to 9 only"):
        bank.sample(3, 0, "cluster:10")
    with pytest.raises(ValueError, match="n_clusters must be at least 1, got 0"):
        StyleBank.cluster(images, "hash", n_clusters=0)
    with pytest.raises(ValueError, match="no training image"):
        StyleBank.cluster([], "hash")
    empty = ImageStyles("a", np.zeros((1, 2), np.float32), np.array([100]))
    with pytest.raises(ValueError, match="the 1 training images hold no cell pixel"):
        StyleBank.cluster([empty], "hash")
    np.savez(tmp_path / "other.npz", a=np.zeros(3))
    with pytest.raises(ValueError, match=r"other\.npz holds no styles \(.*make the translator again"):
        StyleBank.load(tmp_path / "other.npz")


def test_training_images_take_turns():
    images = [ImageStyles(f"s{i}", np.full((3, 2), i, dtype=np.float32), np.array([50, 9, 9])) for i in range(4)]
    bank = StyleBank.cluster(images, "hash", n_clusters=1)
    modes = [bank.source_in_turn(index, seed=0) for index in range(12)]
    passes = [modes[start : start + 4] for start in (0, 4, 8)]
    assert all(sorted(one) == [f"source:{i}" for i in range(4)] for one in passes)
    assert len({tuple(one) for one in passes}) > 1
    assert modes != [bank.source_in_turn(index, seed=1) for index in range(12)]
    assert (bank.sample(5, 0, "source:2") == 2).all()
    with pytest.raises(ValueError, match="style mode 'source:4': there are training images 0 to 3 only"):
        bank.sample(5, 0, "source:4")
