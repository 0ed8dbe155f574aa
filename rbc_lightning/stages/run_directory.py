"""Run directories: one per resolved configuration, holding all that a table or a figure is made from."""

import csv
import json
import platform
from collections.abc import Iterable, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from omegaconf import DictConfig, OmegaConf

from rbc_lightning import __version__
from rbc_lightning.artifacts import content_hash
from rbc_lightning.data.formats import write_atomically

METRICS = "metrics.json"

# What decides neither the training data nor the weights: a run keeps its directory when one of these changes.
_NOT_IDENTITY = ("stage", "rerun", "artifacts_dir", "runs_dir", "logger", "predict", "figure")


def resolved(cfg: DictConfig) -> dict[str, Any]:
    """The configuration as plain containers, every interpolation resolved."""
    return cast(dict[str, Any], OmegaConf.to_container(cfg, resolve=True))


def run_directory(cfg: DictConfig, column: str, data_hash: str) -> Path:
    """The directory of the run that this configuration describes on this data.

    Args:
        cfg: the whole configuration.
        column: the column of S3 Table 2 that the mix amounts to.
        data_hash: fingerprint of the real samples and their splits.
    """
    identity = {key: value for key, value in resolved(cfg).items() if key not in _NOT_IDENTITY}
    identity["trainer"] = {key: identity["trainer"][key] for key in ("accelerator", "precision")}
    name = f"{cfg.data.name}_{column}_{cfg.model.name}_seed{cfg.seed}_{content_hash([identity, data_hash])[:8]}"
    return Path(cfg.runs_dir).resolve() / name


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
