from dataclasses import dataclass

import pytest
from plain_samples import TWO_CHANNELS, fluorescent_sample

from rbc_lightning.core.store import Store
from rbc_lightning.data.manifest import Manifest
from rbc_lightning.data.readers.base import Reader
from rbc_lightning.errors import InputError


@dataclass(frozen=True, kw_only=True)
class InMemory(Reader):
    """A reader of another kind: two channels, 16 bits, no file."""

    n_images: int

    def read(self, store: Store) -> Manifest:
        splits = ("train",) * self.n_images + ("test",)
        return Manifest(tuple(fluorescent_sample(f"s{i}", i, split) for i, split in enumerate(splits)))


def test_a_reader_of_another_kind_is_one_small_class(tmp_path):
    manifest = InMemory(name="cells", n_images=3).read(Store(tmp_path))
    assert manifest.spec == TWO_CHANNELS
    assert manifest.ids("train") == ("s0", "s1", "s2")
    assert manifest.samples[0].group == "patient_s0"
    assert InMemory(name="cells", n_images=3).groups() is None


def test_a_reader_has_nothing_to_say_and_is_chosen_by_name_unless_it_says_more():
    made = InMemory(name="cells", n_images=3)
    assert (made.notes(None), made.overrides()) == ([], ["data=cells"])


def test_a_name_of_digits_is_a_name():
    assert InMemory(name=2024, n_images=1).name == "2024"
    assert InMemory(name="müller v1.2+", n_images=1).name == "müller v1.2+"


@pytest.mark.parametrize("name", ["lab/2024", "", "..", ".hidden", "a\\b", "a;b", "a=b"])
def test_a_name_that_is_no_directory_name_is_refused(name):
    with pytest.raises(InputError, match=r"data.name=.*; expected letters, digits, .*: rename it"):
        InMemory(name=name, n_images=1)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"validation_fraction": 1.0}, "data.validation_fraction=1.0; expected a number between 0 and 1, such as 0.2"),
        ({"validation_fraction": "some"}, "data.validation_fraction=some; expected a number"),
        ({"validation_fraction": None}, "data.validation_fraction=None; expected a number"),
        ({"n_real_images": 0}, "data.n_real_images=0; expected a whole number of at least 1"),
        ({"n_real_images": 2.5}, "data.n_real_images=2.5; expected a whole number"),
        ({"n_real_patients": 0}, "data.n_real_patients=0; expected a whole number of at least 1"),
        ({"n_real_images": 5, "n_real_patients": 1}, "data.n_real_images and data.n_real_patients are both set; expected one"),
        ({"folds": 1, "fold": 0}, "data.folds=1; expected a whole number of at least 2"),
        ({"folds": 3}, "data.folds=3 without the one to test on; expected data.fold=0, or 0,1,2 for all of them"),
        ({"fold": 0}, "data.fold=0 without a number of folds; expected data.folds=5"),
        ({"folds": 3, "fold": 3}, "data.fold=3 of data.folds=3; expected one of 0,1,2"),
        ({"folds": 3, "fold": -1}, "data.fold=-1; expected a whole number of at least 0"),
        ({"folds": 3, "fold": 0, "fold_seed": "a"}, "data.fold_seed=a; expected a whole number"),
    ],
)
def test_settings_are_checked_when_the_reader_is_built(settings, message):
    with pytest.raises(InputError, match=message):
        InMemory(name="cells", n_images=1, **settings)


def test_no_share_is_fine_where_the_data_set_has_a_val_split():
    assert InMemory(name="cells", n_images=1, validation_fraction=0).validation_fraction == 0
