"""Which samples train and validate: fewer of train are drawn after validation is cut, by seeds of their own."""

from plain_samples import plain_manifest

from rbc_lightning.commands.splits import read_split
from rbc_lightning.core.seeds import derive_seed
from rbc_lightning.data.readers.base import Reader
from rbc_lightning.data.splits import cut_validation, keep_real_groups, keep_real_images


class PlainReader(Reader):
    """Ten training samples without files."""

    def read(self, store):
        return plain_manifest()


def test_validation_is_cut_first_and_the_same_however_few_train():
    whole = cut_validation(plain_manifest(), 0.2, derive_seed(5, "split"))
    found = read_split(PlainReader(name="plain", validation_fraction=0.2), None, "held_out", 5)
    assert found.fingerprint() == whole.fingerprint()
    drawn = derive_seed(5, "real_images")
    for setting, keep in (("n_real_images", keep_real_images), ("n_real_patients", keep_real_groups)):
        found = read_split(PlainReader(name="plain", validation_fraction=0.2, **{setting: 3}), None, "held_out", 5)
        assert found.fingerprint() == keep(whole, 3, drawn).fingerprint()
        assert (len(found.split("train")), found.ids("val")) == (3, whole.ids("val"))


def test_the_paper_validates_on_nothing_of_its_own():
    found = read_split(PlainReader(name="plain"), None, "paper", 5)
    assert (len(found.split("train")), {sample.split for sample in found.samples}) == (10, {"train", "test"})
