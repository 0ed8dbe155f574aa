"""What every stage starts from: the artifact store, the real samples, and the seeds derived from the base seed."""

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from omegaconf import DictConfig
from rich.console import Console

from rbc_lightning.artifacts import ArtifactStore, content_hash
from rbc_lightning.data.folder import read_folder
from rbc_lightning.data.manifest import Manifest, Record, cut_validation, keep_real_images, merge_validation
from rbc_lightning.data.phantom import PhantomSpec, write_phantom
from rbc_lightning.errors import InputError, blaming
from rbc_lightning.stages.progress import count_progress
from rbc_lightning.stages.settings import check_settings

console = Console(highlight=False)

# Names of independent random streams under one base seed.
_STREAMS = {"split": 1, "translator": 2, "synthetic": 3, "training": 4, "preview": 5, "layout": 6, "real_images": 7}


@dataclass(frozen=True)
class Inputs:
    """Real samples with their splits, and the store for what is made from them."""

    store: ArtifactStore
    manifest: Manifest

    @property
    def train_fingerprint(self) -> str:
        """Hash of the training pairs: names and bytes."""
        return fingerprint(self.manifest.split("train"))


def load_inputs(cfg: DictConfig) -> Inputs:
    """Read (or make) the data set that the configuration names, and cut validation from its train split."""
    check_settings(cfg)
    store = ArtifactStore(Path(cfg.artifacts_dir), announce=console.print)
    if cfg.data.kind == "phantom":
        manifest = _phantom(cfg, store)
    elif cfg.data.kind == "folder":
        manifest = read_folder(Path(cfg.data.root))
    else:
        raise InputError(f"data.kind={cfg.data.kind}; expected phantom or folder")
    return Inputs(store, _fewer(cfg, _selection_split(cfg, manifest)))


def _selection_split(cfg: DictConfig, manifest: Manifest) -> Manifest:
    """With a validation split cut from train; with none for protocol=paper, which trains on all and chooses on test."""
    if cfg.protocol == "paper":
        return merge_validation(manifest)
    return cut_validation(manifest, cfg.data.validation_fraction, derive_seed(cfg.seed, "split"))


def _fewer(cfg: DictConfig, manifest: Manifest) -> Manifest:
    """With `data.n_real_images` training samples; what is made from them then sees no others either."""
    if cfg.data.n_real_images is None:
        return manifest
    for key in ("translator", "synthetic"):
        if cfg[key].path is not None:
            raise InputError(
                f"data.n_real_images={cfg.data.n_real_images} with {key}.path={cfg[key].path}, which may have seen more "
                f"images; drop {key}.path, so that it is made from those alone"
            )
    return keep_real_images(manifest, cfg.data.n_real_images, derive_seed(cfg.seed, "real_images"))


def fingerprint(records: Sequence[Record]) -> str:
    """Hash of samples by name and bytes, whatever their place on disk."""
    return content_hash([[record.sample_id, record.image_sha256, record.label_sha256] for record in records])


def splits_fingerprint(manifest: Manifest) -> str:
    """Hash of all samples together with what each is used for: another split is another experiment."""
    rows = sorted((r.sample_id, r.split, r.group, r.image_sha256, r.label_sha256) for r in manifest.records)
    return content_hash(rows)


def derive_seed(seed: int, stream: str) -> int:
    """A seed for one named random stream; streams under one base seed are independent of each other."""
    return int(np.random.SeedSequence([seed, _STREAMS[stream]]).generate_state(1, np.uint32)[0])


def _phantom(cfg: DictConfig, store: ArtifactStore) -> Manifest:
    data = cfg.data
    with blaming("data"):
        spec = PhantomSpec(height=data.height, width=data.width)

    def build(directory: Path) -> None:
        # What a killed attempt left behind.
        for leftover in directory.iterdir():
            shutil.rmtree(leftover)
        with count_progress("Drawing the phantom", data.n_train + data.n_test) as advance:
            write_phantom(directory / "data", spec, data.n_train, data.n_test, data.phantom_seed, progress=advance)

    kept = ("n_train", "n_test", "height", "width", "phantom_seed")
    settings = {**{key: data[key] for key in kept}, "format": 1}
    artifact = store.get("phantom", settings, [], build)
    return read_folder(artifact.path / "data")
