from dataclasses import dataclass

import cv2
import numpy as np
import pytest
from PIL import Image

from rbc_lightning.core.build import build
from rbc_lightning.core.files import file_sha256
from rbc_lightning.core.recipe import Recipe
from rbc_lightning.core.store import Store
from rbc_lightning.data import checked
from rbc_lightning.data.manifest import Samples
from rbc_lightning.data.near_duplicates import find_near_duplicates
from rbc_lightning.data.readers import folder
from rbc_lightning.data.readers.folder import FolderReader, read_folder
from rbc_lightning.data.sample import FilePair
from rbc_lightning.errors import InputError


@dataclass(frozen=True)
class Something(Recipe):
    """Anything that is made in a store."""

    kind = title = "thing"

    def build(self, directory, store):
        (directory / "file").touch()

    def load(self, directory, store):
        return directory


def test_a_folder_becomes_a_manifest_with_splits_groups_and_hashes(own_folder):
    manifest = read_folder(own_folder)
    assert len(manifest.split("train")) == 5
    assert manifest.ids("test") == ("smear_05", "smear_06")
    first = manifest.samples[0]
    assert (first.origin, first.group, len(first.image_sha256)) == ("real", "slide_0", 64)
    assert (first.size, first.where) == ((96, 128), str(own_folder / "images" / "smear_00.png"))


def test_the_reader_reads_the_folder_and_names_what_is_not_listed(own_folder, tmp_path):
    reader = build(
        {"_target_": "rbc_lightning.data.readers.folder.FolderReader", "name": "mine", "root": str(own_folder)}, "data"
    )
    manifest = reader.read(Store(tmp_path / "artifacts", str))
    assert manifest == read_folder(own_folder)
    assert reader.notes(manifest) == []
    Image.fromarray(np.zeros((4, 4), dtype=np.uint8)).save(own_folder / "images" / "extra.png")
    assert reader.notes(manifest) == ["note: images/extra.png is not in splits.csv and takes no part"]
    assert reader.overrides() == ["data=folder", "data.name=mine", f"data.root={own_folder}"]
    with pytest.raises(InputError, match=r"data.name=a/b; expected letters"):
        FolderReader(name="a/b", root=own_folder)


def test_an_image_without_a_label_map(own_folder):
    (own_folder / "labels" / "smear_01.png").unlink()
    with pytest.raises(InputError, match=r"smear_01\.png: image without a label map; expected .*labels.smear_01\.png: add it"):
        read_folder(own_folder)


def test_a_label_map_without_an_image(own_folder):
    (own_folder / "images" / "smear_01.png").unlink()
    with pytest.raises(InputError, match=r"smear_01\.\*: no such image, yet splits\.csv lists it"):
        read_folder(own_folder)


def test_sizes_that_differ(own_folder):
    Image.fromarray(np.zeros((50, 60), dtype=np.uint16)).save(own_folder / "labels" / "smear_02.png")
    with pytest.raises(InputError, match=r"smear_02\.png: label map of 50 x 60 pixels for an image of 96 x 128"):
        read_folder(own_folder)


def test_a_colour_image_as_label_map(own_folder):
    Image.fromarray(np.zeros((96, 128, 3), dtype=np.uint8)).save(own_folder / "labels" / "smear_02.png")
    with pytest.raises(InputError, match=r"smear_02\.png: a colour image was given as label map"):
        read_folder(own_folder)


def test_an_unreadable_file(own_folder):
    (own_folder / "images" / "smear_03.png").write_bytes(b"no image")
    with pytest.raises(InputError, match=r"smear_03\.png: cannot be read as an image"):
        read_folder(own_folder)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("sample_id,split\nsmear_00,test\n", "split 'train' is empty"),
        ("sample_id,split\n", "no rows"),
        ("name,part\nsmear_00,train\n", r"columns \['name', 'part'\]; expected sample_id,split"),
        ("sample_id,split\nsmear_00,training\n", "line 2: split 'training'; expected one of train, val, test"),
        (
            "sample_id,split\nsmear_00,train\nsmear_00,test\n",
            r"line 3: sample 'smear_00' \(test\) is listed before as train; .*drop one of the rows",
        ),
        (
            "sample_id,split,group\nsmear_00,train,p1\nsmear_01,test,p1\n",
            "group 'p1' is in splits 'train' and 'test' .*smear_01",
        ),
    ],
)
def test_a_faulty_splits_csv(own_folder, text, message):
    (own_folder / "splits.csv").write_text(text)
    with pytest.raises(InputError, match=message):
        read_folder(own_folder)


def test_a_splits_csv_in_another_encoding_is_refused(own_folder):
    (own_folder / "splits.csv").write_bytes("sample_id,split,group\nsmear_00,train,Z\xfcrich\n".encode("latin-1"))
    with pytest.raises(InputError, match=r"splits\.csv: not UTF-8"):
        read_folder(own_folder)


def test_a_missing_folder(tmp_path):
    with pytest.raises(InputError, match=r"nowhere: no such directory; point data\.root"):
        read_folder(tmp_path / "nowhere")


def test_the_real_smears(shared_smears):
    manifest = read_folder(shared_smears)
    assert (len(manifest.split("train")), len(manifest.split("test"))) == (60, 20)


def test_the_second_start_decodes_and_hashes_nothing(shared_smears, tmp_path, monkeypatch):
    """The first one finds no store; what it made there is found by the second."""
    touched = []
    for kind in ("image", "label_map"):
        load = getattr(FilePair, kind)
        monkeypatch.setattr(FilePair, kind, lambda pair, load=load: touched.append(pair.image_path) or load(pair))
    monkeypatch.setattr(checked, "file_sha256", lambda path: touched.append(path) or file_sha256(path))
    manifests = []
    for _ in range(2):
        store = Store(tmp_path / "artifacts", str)
        manifests.append(read_folder(shared_smears, store=store))
        assert (store.root.exists(), len(touched)) == (len(manifests) == 2, 80 * 4)
        store.ensure(Something())
    assert manifests[0] == manifests[1]


def test_files_are_decoded_once_until_one_changes(own_folder, tmp_path, monkeypatch):
    monkeypatch.setattr(checked, "_RESTED_NS", 0)
    decoded = []
    check = folder._check
    monkeypatch.setattr(folder, "_check", lambda files, *more: (decoded.append(files.image_path.stem), check(files, *more)))
    store = Store(tmp_path / "artifacts", str)
    # A store that holds nothing stays like that.
    first = read_folder(own_folder, store=store)
    assert not store.root.exists()
    store.root.mkdir()
    decoded.clear()
    assert read_folder(own_folder, store=store) == first
    assert len(decoded) == 7
    assert read_folder(own_folder, store=store) == first == read_folder(own_folder.parent / "data" / ".", store=store)
    assert len(decoded) == 7
    # Another split reads nothing anew; another label map is read, and refused where it is bad.
    table = own_folder / "splits.csv"
    table.write_text(table.read_text().replace("smear_06", "smear_06").replace("test", "val", 1))
    assert len(read_folder(own_folder, store=store).split("val")) == 1
    assert len(decoded) == 7
    Image.fromarray(np.full((96, 128), 3, dtype=np.uint16)).save(own_folder / "labels" / "smear_02.png")
    changed = read_folder(own_folder, store=store)
    assert decoded[7:] == ["smear_02"]
    assert changed.samples[2].label_sha256 != first.samples[2].label_sha256
    (own_folder / "images" / "smear_03.png").write_bytes(b"no image")
    for _ in range(2):
        with pytest.raises(InputError, match=r"smear_03\.png: cannot be read as an image"):
            read_folder(own_folder, store=store)


def test_16_bit_images_need_their_value_range_and_keep_their_values(own_folder):
    path = own_folder / "images" / "smear_03.png"

    def deepen(image_path):
        levels = np.array(Image.open(image_path)).astype(np.uint16) * 16
        assert cv2.imwrite(str(image_path), levels[..., ::-1])
        return levels

    levels = deepen(path)
    with pytest.raises(InputError, match=r"smear_03\.png: an image of 16 bits per channel"):
        read_folder(own_folder)
    for other in set((own_folder / "images").iterdir()) - {path}:
        deepen(other)
    reader = FolderReader(name="deep", root=own_folder, value_range=[0, 4095])
    sample = reader.read(None).samples[3]
    np.testing.assert_array_equal(sample.load_image(), levels)
    assert sample.spec.value_range == (0, 4095)
    assert reader.overrides()[-1] == "data.value_range=[0,4095]"
    with pytest.raises(InputError, match=r"values up to \d+; expected none above 1023"):
        FolderReader(name="deep", root=own_folder, value_range=[0, 1023]).read(None)


@pytest.mark.parametrize("values", [4095, [0], ["a", 1], [0, 70000], [9, 9]])
def test_a_value_range_that_is_none(own_folder, values):
    with pytest.raises(InputError, match="value_range"):
        FolderReader(name="mine", root=own_folder, value_range=values)


def annotate_twice(root, *names):
    """Second label maps of some images: those of the first annotator, their first cell given up."""
    (root / "labels_2").mkdir()
    for name in names:
        known = root / "labels" / f"{name}.png"
        label_map = np.array(Image.open(known)) if known.exists() else np.zeros((9, 9), np.uint16)
        label_map[label_map == 1] = 0
        Image.fromarray(label_map).save(root / "labels_2" / f"{name}.png")


def test_a_second_annotation_of_some_images_is_read_and_decides_nothing(own_folder):
    annotate_twice(own_folder, "smear_00", "smear_06", "stray")
    reader = FolderReader(name="mine", root=own_folder, second_masks="labels_2")
    once, twice = read_folder(own_folder), reader.read(None)
    assert [s.sample_id for s in twice.samples if s.load_second_label_map() is not None] == ["smear_00", "smear_06"]
    second, first = twice.samples[6].load_second_label_map(), twice.samples[6].load_label_map()
    # Ids without gaps, as of every label map.
    np.testing.assert_array_equal(second, np.where(first > 1, first - 1, 0))
    assert twice.fingerprint() == once.fingerprint()
    assert Samples(twice.samples).key == Samples(once.samples).key
    assert find_near_duplicates(twice.samples) == []
    assert reader.overrides()[-1] == "data.second_masks=labels_2"
    assert reader.notes(twice) == [
        "note: labels_2/stray.png is not in splits.csv and takes no part",
        "note: 2 of 7 images are annotated twice (labels_2/), 1 of them in test: agreement.csv of each run compares those",
    ]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (np.zeros((50, 60), np.uint16), r"labels_2.smear_06\.png: label map of 50 x 60 pixels for an image of 96 x 128"),
        (np.zeros((96, 128, 3), np.uint8), r"labels_2.smear_06\.png: a colour image was given as label map"),
        (
            np.indices((96, 128)).sum(axis=0).astype(np.uint8) % 9 // 8,
            r"labels_2.smear_06\.png: one cell in more than 3 pieces",
        ),
        (None, r"labels_2.smear_06\.png: cannot be read as an image"),
    ],
)
def test_a_second_annotation_is_checked_as_the_first_is(own_folder, tmp_path, monkeypatch, content, message):
    monkeypatch.setattr(checked, "_RESTED_NS", 0)
    store = Store(tmp_path / "artifacts", str)
    store.root.mkdir()
    annotate_twice(own_folder, "smear_06")
    path = own_folder / "labels_2" / "smear_06.png"
    # What passed before is checked again.
    assert read_folder(own_folder, store=store, second_masks="labels_2").samples[6].second.label_path == path
    if content is None:
        path.write_bytes(b"no image")
    else:
        Image.fromarray(content).save(path)
    for _ in range(2):
        with pytest.raises(InputError, match=message):
            read_folder(own_folder, store=store, second_masks="labels_2")


def test_second_annotations_that_are_not_there(own_folder):
    with pytest.raises(InputError, match=r"labels_2: no such directory; expected files named <sample_id>\.png in it"):
        read_folder(own_folder, second_masks="labels_2")
    annotate_twice(own_folder, "smear_06")
    (own_folder / "labels_2" / "smear_06.png").rename(own_folder / "labels_2" / "smear_06_b.png")
    with pytest.raises(InputError, match=r"labels_2: no label map of an image in splits\.csv; expected smear_00\.png"):
        read_folder(own_folder, second_masks="labels_2")


@pytest.mark.parametrize("name", ["labels", "images", "../labels_2", ""])
def test_a_directory_of_second_annotations_that_cannot_be(own_folder, name):
    with pytest.raises(InputError, match=rf"data\.second_masks={name}; expected"):
        FolderReader(name="mine", root=own_folder, second_masks=name)


def test_groups_are_known_by_the_table_alone(own_folder):
    made = FolderReader(name="mine", root=own_folder)
    manifest = made.read(Store(own_folder / "store", lambda line: None))
    assert made.groups() == {sample.group: sample.split for sample in manifest.samples}
