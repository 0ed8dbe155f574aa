"""Run directories: one per resolved configuration, holding all that a table or a figure is made from."""

import csv
import json
import platform
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from omegaconf import DictConfig, OmegaConf

from rbc_lightning import __version__
from rbc_lightning.artifacts import content_hash
from rbc_lightning.data.formats import file_sha256, write_atomically
from rbc_lightning.data.mix import Mix
from rbc_lightning.stages.training import training_numerics

METRICS = "metrics.json"
_TRANSLATOR_FILES = ("generator.pt", "styles.npz", "surfaces.npz", "structure_generator.pt")


def resolved(cfg: DictConfig) -> dict[str, Any]:
    """The configuration as plain containers, every interpolation resolved."""
    return cast(dict[str, Any], OmegaConf.to_container(cfg, resolve=True))


def identity(cfg: DictConfig, mix: Mix) -> dict[str, str | None]:
    """Hashes of what decides a run beside data and mix; two runs that agree in them differ in the column alone.

    Keys: `base` (model, training, seed, numerics, how weights are chosen); `augment` and `synthetic` (translator, sampler,
    style), None for a mix that uses no such samples.
    """
    settings = resolved(cfg)
    numerics = training_numerics(cfg)
    base = {key: settings[key] for key in ("model", "training", "seed", "protocol")} | numerics
    used = {key: settings["synthetic"][key] for key in ("mode", "style")}
    # How quality is looked at decides nothing, unless a checkpoint is chosen by it.
    decisive = set(settings["translator"]) - (set() if cfg.translator.choose == "quality" else {"quality"})
    translator = {key: settings["translator"][key] for key in decisive}
    synthetic = {"translator": translator, "sampler": settings["sampler"], "fit": settings["fit"], **used}
    # Ready-made translators and pairs count by content: the same path may hold another one tomorrow.
    synthetic["given"] = [
        file_sha256(Path(path) / name)
        for path, names in ((cfg.translator.path, _TRANSLATOR_FILES), (cfg.synthetic.path, ("manifest.csv",)))
        for name in names
        if path is not None and (Path(path) / name).is_file()
    ]
    weights = OmegaConf.select(cfg, "model.net.weights")
    if weights is not None and Path(weights).is_file():
        base["weights"] = file_sha256(Path(weights))
    return {
        "base": content_hash(base),
        "augment": content_hash(settings["augment"]) if mix.augmented else None,
        "synthetic": content_hash(synthetic) if mix.synthetic else None,
    }


def run_directory(cfg: DictConfig, mix: Mix, data_hash: str) -> Path:
    """The directory of the run that this configuration describes on this data.

    Args:
        cfg: the whole configuration.
        mix: the resolved mix.
        data_hash: fingerprint of the real samples and their splits.
    """
    key = content_hash([identity(cfg, mix), asdict(mix), data_hash])[:8]
    optimistic = "_paper" if cfg.protocol == "paper" else ""
    return Path(cfg.runs_dir).resolve() / f"{cfg.data.name}_{mix.column}_{cfg.model.name}_seed{cfg.seed}{optimistic}_{key}"


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Write JSON, atomically."""
    write_atomically(path, lambda part: part.write_text(json.dumps(content, indent=2, sort_keys=True) + "\n"))


def write_csv(path: Path, header: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Write CSV, atomically."""

    def write(part: Path) -> None:
        with part.open("w", newline="") as handle:
            csv.writer(handle).writerows([header, *rows])

    write_atomically(path, write)


def write_rows(path: Path, rows: Sequence[Mapping[str, object]]) -> None:
    """Write dicts with equal keys as CSV, atomically."""
    header = list(rows[0])
    write_csv(path, header, ([row[name] for name in header] for row in rows))


def machine() -> dict[str, str | int]:
    """Hardware and versions, for the record beside the figures."""
    device = torch.cuda.get_device_name() if torch.cuda.is_available() else _processor()
    return {
        "device": device,
        "threads": torch.get_num_threads(),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "pytorch_lightning": version("pytorch-lightning"),
        "numpy": np.__version__,
        "rbc_lightning": __version__,
    }


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()
