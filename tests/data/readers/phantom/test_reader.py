import csv

import numpy as np
import pytest
from phantom_helpers import SMALL as SPEC_OF_IMAGES

from rbc_lightning.core.build import build
from rbc_lightning.core.label_files import read_label_map
from rbc_lightning.core.store import Store
from rbc_lightning.data.formats import read_image
from rbc_lightning.data.readers.phantom import PhantomReader, render_smear, write_phantom
from rbc_lightning.errors import InputError

SMALL = {"name": "phantom", "n_train": 2, "n_test": 1, "height": 96, "width": 112, "phantom_seed": 0}
SPEC = {"_target_": "rbc_lightning.data.readers.phantom.PhantomReader", **SMALL}


def test_the_phantom_is_drawn_once_and_read_as_a_folder(tmp_path):
    said = []
    store = Store(tmp_path, said.append)
    reader = build(SPEC, "data")
    manifest = reader.read(store)
    assert (len(manifest.split("train")), len(manifest.split("test"))) == (2, 1)
    assert manifest.samples[0].size == (96, 112)
    assert sorted(reader.groups().values()) == sorted(sample.split for sample in manifest.samples)
    assert reader.read(Store(tmp_path, said.append)) == manifest
    key = reader.key
    assert said == [f"Building phantom {key}", f"Reused phantom {key}"]
    assert (tmp_path / "phantom" / key / "data" / "splits.csv").is_file()
    assert reader.overrides() == ["data=phantom"]


def test_an_interrupted_attempt_is_drawn_anew(tmp_path, monkeypatch):
    store, reader = Store(tmp_path, lambda line: None), PhantomReader(**SMALL)
    partial = store.path(reader).with_suffix(".partial")
    (partial / "data" / "images").mkdir(parents=True)
    (partial / "data" / "images" / "phantom_0009.png").touch()
    assert len(reader.read(store).samples) == 3
    assert len(list((store.path(reader) / "data" / "images").iterdir())) == 3
    assert not partial.exists()


def test_the_key_follows_from_the_settings_of_the_pictures_alone():
    settings = {name: value for name, value in SMALL.items() if name != "name"}
    reader = PhantomReader(**SMALL)
    assert PhantomReader(**settings, name="other", validation_fraction=0.5, n_real_images=1).key == reader.key
    others = {PhantomReader(**{**SMALL, name: value + 32}).key for name, value in settings.items()}
    assert len(others | {reader.key}) == 6
    assert (reader.kind, reader.format, reader.settings()) == ("phantom", 1, settings)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"n_train": 1}, "data.n_train=1; expected a whole number of at least 2"),
        ({"n_test": 0}, "data.n_test=0; expected a whole number of at least 1"),
        ({"height": 63}, "data.height=63; expected a whole number of at least 64"),
        ({"width": 64.5}, "data.width=64.5; expected a whole number of at least 64"),
        ({"phantom_seed": -1}, "data.phantom_seed=-1; expected a whole number of at least 0"),
        ({"count_mean": 5}, "data.count_mean=5 is no setting of PhantomReader"),
    ],
)
def test_settings_are_checked_when_the_reader_is_built(settings, message):
    with pytest.raises(InputError, match=message):
        build({**SPEC, **settings}, "data")


def test_write_phantom_round_trip(tmp_path):
    root, calls = tmp_path / "deep" / "phantom", []
    write_phantom(root, SPEC_OF_IMAGES, 2, 1, seed=0, progress=lambda done, total: calls.append((done, total)))
    assert calls == [(1, 3), (2, 3), (3, 3)]
    assert [path.name for path in root.parent.iterdir()] == ["phantom"]
    with (root / "splits.csv").open(newline="") as handle:
        rows = list(csv.reader(handle))
    assert rows[0] == ["sample_id", "split", "group"]
    assert [row[:2] for row in rows[1:]] == [["phantom_0000", "train"], ["phantom_0001", "train"], ["phantom_0002", "test"]]
    assert len({row[2] for row in rows[1:]}) == 3
    images = [read_image(root / "images" / f"{row[0]}.png") for row in rows[1:]]
    assert all(image.shape == (160, 208, 3) for image in images)
    assert len({image.tobytes() for image in images}) == 3
    assert read_label_map(root / "labels" / "phantom_0000.png").max() >= 1
    rendered = render_smear(SPEC_OF_IMAGES, int(np.random.SeedSequence([0, 0, 0]).generate_state(1, np.uint64)[0]))[0]
    np.testing.assert_array_equal(images[0], rendered)


def test_more_test_images_leave_the_training_images_alone(tmp_path):
    write_phantom(tmp_path / "a", SPEC_OF_IMAGES, 1, 1, seed=3)
    write_phantom(tmp_path / "b", SPEC_OF_IMAGES, 1, 2, seed=3)
    write_phantom(tmp_path / "c", SPEC_OF_IMAGES, 1, 1, seed=4)
    first, second, other = [(tmp_path / name / "images" / "phantom_0000.png").read_bytes() for name in "abc"]
    assert first == second
    assert first != other


def test_write_phantom_refuses_what_is_there(tmp_path):
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "note.txt").write_text("mine")
    with pytest.raises(InputError, match="not an empty directory; remove it or choose another"):
        write_phantom(tmp_path / "full", SPEC_OF_IMAGES, 1, 1, seed=0)
    assert [path.name for path in (tmp_path / "full").iterdir()] == ["note.txt"]
    (tmp_path / "empty").mkdir()
    write_phantom(tmp_path / "empty", SPEC_OF_IMAGES, 1, 1, seed=0)
    assert (tmp_path / "empty" / "splits.csv").exists()
