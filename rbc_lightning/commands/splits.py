"""Which real samples train, validate and test, as the configuration says."""

from rbc_lightning.core.seeds import derive_seed
from rbc_lightning.core.store import Store
from rbc_lightning.data.manifest import Manifest
from rbc_lightning.data.readers.base import Reader
from rbc_lightning.data.splits import (
    check_groups,
    check_test,
    cut_validation,
    deal_folds,
    keep_real_groups,
    keep_real_images,
    merge_validation,
)


def read_split(reader: Reader, store: Store, protocol: str, seed: int) -> Manifest:
    """Samples split by fold, for a protocol ("held_out", "paper") and a seed, fewer of train where that is asked for."""
    groups = reader.groups()
    if groups is not None:
        check_groups(groups, reader.name, reader.folds, reader.fold, validates=protocol != "paper")
    manifest = reader.read(store)
    if reader.folds is None or reader.fold is None:
        check_test(manifest, reader.name)
    else:
        manifest = deal_folds(manifest, reader.folds, reader.fold, reader.fold_seed)
    if protocol == "paper":
        manifest = merge_validation(manifest)
    else:
        manifest = cut_validation(manifest, reader.validation_fraction, derive_seed(seed, "split"))
    manifest = reader.narrow(manifest)
    kept = derive_seed(seed, "real_images")
    if reader.n_real_patients is not None:
        return keep_real_groups(manifest, reader.n_real_patients, kept)
    return manifest if reader.n_real_images is None else keep_real_images(manifest, reader.n_real_images, kept)
