"""Multiruns: what becomes of each cell is written down, and told at the end; no cell can stop the others."""

import json
import math
import os
import re
import shutil
import socket
import subprocess
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, cast

from filelock import FileLock, Timeout
from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException
from hydra.experimental.callback import Callback
from omegaconf import DictConfig, OmegaConf, flag_override
from omegaconf.errors import OmegaConfBaseException

from rbc_lightning.artifacts import content_hash
from rbc_lightning.errors import InputError
from rbc_lightning.stages.cell import CellOutcome, run_apart
from rbc_lightning.stages.tracking.sweep_group import in_group, write_group

_CELLS = "cells"
# Keys that say where things lie rather than what a cell is.
_PLACES = ("sweep", "runs_dir", "artifacts_dir")
# Launchers that run several cells side by side on this machine.
_SHARED_MACHINE = ("joblib", "submitit_local")
# Hydra's record of a multirun, and that of its group (see `write_group`).
_MULTIRUN, _GROUP = "multirun.yaml", "sweep.json"
_SECONDS_BETWEEN_LOOKS = 1.0

# Our launcher files bear the plugins' names, and are meant to be checked against their schemas. Said here, since each
# worker process of a launcher imports this module before it composes its cell.
warnings.filterwarnings("ignore", message=r"\s*'hydra/launcher/\w+' is validated against ConfigStore schema")

# Directory of the multirun that this process has begun.
_begun: list[Path] = []
_PLAN = "plan"


@dataclass
class PlannedSweep:
    """The cells of a multirun of `stage=plan`, which runs none of them, and the launcher that would."""

    launcher: str = "basic"
    settings: dict[str, Any] = field(default_factory=dict)
    cells: dict[str, DictConfig] = field(default_factory=dict)


_planned = PlannedSweep()


class SweepLog(Callback):  # type: ignore[misc]  # hydra has no annotations
    """Hydra's hook at the beginning of a multirun, in the process that the user started."""

    def on_multirun_start(self, config: DictConfig, **_: object) -> None:
        """Remember where the cells will write how they went."""
        if config.stage == _PLAN:
            _gather_here(config)
            return
        _begun[:] = [Path(config.hydra.sweep.dir)]
        write_group(config, _begun[0])
        if config.hydra.runtime.choices["hydra/launcher"].startswith("submitit"):
            # What its first cell prints goes to a file.
            _announce(config, _begun[0] / _CELLS)


def run_cell(run: Callable[[DictConfig], Any], cfg: DictConfig) -> None:
    """Run one cell in a process of its own, and write down how it went; called in whatever process the launcher chose.

    Args:
        run: runs a configuration's stage; skips what is finished.
        cfg: the cell's configuration.
    """
    hydra = HydraConfig.get()
    launcher: str = hydra.runtime.choices["hydra/launcher"]
    overrides = [str(override) for override in hydra.overrides.task]
    label = cell_label(overrides)
    if cfg.stage == _PLAN:
        _planned.launcher, _planned.cells[label] = launcher, cfg
        _planned.settings = cast(dict[str, Any], OmegaConf.to_container(hydra.launcher))
        return
    directory = Path(hydra.sweep.dir)
    name = re.sub(r"[^\w.=+-]+", "_", label)[:100]
    record = directory / _CELLS / f"{name}_{content_hash(sorted(overrides))[:8]}.json"
    if _is_first(record.parent) and not launcher.startswith("submitit"):
        _announce(cfg, record.parent)
    shown = f"Cell {hydra.job.num + 1}{_of_all(directory)}: {label}"
    # What one cell prints need not be kept apart from what others print.
    log = None if launcher == "basic" else record.with_suffix(".log")
    _write(record, label, CellOutcome("begun", f"no word from it since it began; its output: {log or 'see above'}"))
    _say(shown if log is None else f"{shown} begins; its output goes to {log}")
    started = time.monotonic()
    try:
        with _place(cfg, launcher, directory.parent / "places") as device:
            cfg = in_group(cfg.copy(), directory)
            cfg.trainer.progress_bar = cfg.trainer.progress_bar and log is None
            outcome = run_apart(run, cfg, log=log, cuda_devices=device, follow_parent=launcher == "joblib")
    except InputError as error:
        outcome = CellOutcome("failed", str(error))
    if outcome.status == "failed" and log is not None:
        outcome = replace(outcome, message=f"{outcome.message}; its output: {log}")
    outcome = replace(outcome, seconds=round(time.monotonic() - started, 1))
    _write(record, label, outcome)
    _say(f"{shown} {outcome.status}: {outcome.directory or outcome.message}")


def _is_first(cells: Path) -> bool:
    """Whether no cell of the sweep, in whatever process, has begun before."""
    try:
        cells.mkdir(parents=True)
    except FileExistsError:
        return False
    return True


def _announce(cfg: DictConfig, cells: Path) -> None:
    _say(f"Sweep {cfg.sweep_name}; how its cells go is written in {cells}")


def _say(line: str) -> None:
    # In one piece: several processes print here, and the end of a line must not come apart from it.
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def _of_all(directory: Path) -> str:
    """The number of cells, behind that of one; empty where it cannot be told."""
    count = count_cells(directory)
    return "" if count is None else f" of {count}"


def count_cells(directory: Path) -> int | None:
    """The cells of a multirun, counted in Hydra's record of it; None where it takes more to know than stands there."""
    try:
        hydra = cast(DictConfig, OmegaConf.load(directory / _MULTIRUN)).hydra
        given = [f"{key}={values}" for key, values in (hydra.sweeper.params or {}).items()]
        overrides = OverridesParser.create().parse_overrides([*given, *hydra.overrides.task])
        # Of those that name the same key, the last one holds.
        last = {override.get_key_element(): override for override in overrides}
        swept = [override for override in last.values() if override.is_sweep_override()]
        return math.prod(sum(1 for _ in override.sweep_string_iterator()) for override in swept)
    except (OSError, HydraException, OmegaConfBaseException):
        return None


def cell_label(overrides: list[str]) -> str:
    """How a cell is named to the user: its overrides but for those that say where things lie."""
    return " ".join(o for o in overrides if o.lstrip("+~").split("=")[0] not in _PLACES)


def take_planned() -> PlannedSweep:
    """The cells that a multirun of `stage=plan` has gathered; none of them twice."""
    global _planned
    planned, _planned = _planned, PlannedSweep()
    return planned


def _gather_here(config: DictConfig) -> None:
    """Have Hydra hand all cells to this process, whatever launcher would run them, and leave its record with the plan."""
    place = "'${runs_dir}/plans/${sweep_name}'"
    with flag_override(config, ["readonly", "struct"], False):
        config.hydra.launcher = {"_target_": "hydra._internal.core_plugins.basic_launcher.BasicLauncher"}
        config.hydra.sweep.dir = place.strip("'")
        # Each cell is composed anew from these.
        config.hydra.overrides.hydra.append(f"hydra.sweep.dir={place}")


def is_begun() -> bool:
    """Whether this process has begun a multirun."""
    return bool(_begun)


def leave_no_empty_record() -> None:
    """Remove the record of this process's multirun where none of its cells has begun."""
    if not _begun or (_begun[0] / _CELLS).exists():
        return
    directory = _begun.pop()
    for name in (_MULTIRUN, _GROUP):
        (directory / name).unlink(missing_ok=True)
    # Whatever else lies there is not ours.
    with suppress(OSError):
        directory.rmdir()


def close_sweep() -> int:
    """Tell how the cells of this process's multirun went, if there was one; returns the exit status: 1 where any failed."""
    if not _begun:
        return 0
    directory = _begun.pop()
    records = [json.loads(path.read_text()) for path in sorted((directory / _CELLS).glob("*.json"))]
    if not records:
        return 0
    failed = [record for record in records if record["status"] in ("failed", "begun")]
    counts = {
        "finished": sum(record["status"] == "finished" for record in records),
        "finished earlier": sum(record["status"] == "skipped" for record in records),
        "failed": len(failed),
    }
    told = ", ".join(f"{count} {name}" for name, count in counts.items() if count)
    print(f"Sweep of {len(records)} cells: {told}; recorded in {directory}", flush=True)
    for record in failed:
        print(f"error: cell {record['cell']}: {record['message']}", file=sys.stderr)
    if failed:
        print("The same command again skips what is finished and goes on with the rest.", file=sys.stderr, flush=True)
    return 1 if failed else 0


def _write(path: Path, label: str, outcome: CellOutcome) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part")
    part.write_text(json.dumps({"cell": label, **asdict(outcome)}, indent=2) + "\n")
    part.replace(path)


@contextmanager
def _place(cfg: DictConfig, launcher: str, directory: Path) -> Iterator[str | None]:
    """A GPU or a core for one cell alone, waiting for a free one; yields its CUDA_VISIBLE_DEVICES, or None.

    One after the other, or with a cluster's queue, cells need no places.
    """
    on_gpu = cfg.trainer.accelerator == "gpu"
    places: list[str] = []
    if launcher in _SHARED_MACHINE and on_gpu:
        places = visible_devices()
        if places and cfg.trainer.devices != 1:
            raise InputError(
                f"trainer.devices={cfg.trainer.devices} with hydra/launcher={launcher}, which gives each cell one GPU; take "
                "trainer=gpu, or hydra/launcher=basic for one cell after the other on all GPUs"
            )
    elif launcher == "submitit_local":
        # It starts all cells at once, where joblib starts so many as there are cores, with a thread each.
        places = [f"core_{index}" for index in range(os.cpu_count() or 1)]
        os.environ.setdefault("OMP_NUM_THREADS", "1")
    if not places:
        yield None
        return
    with _first_free(directory, places) as place:
        yield place if on_gpu else None


@contextmanager
def _first_free(directory: Path, places: list[str]) -> Iterator[str]:
    """Hold the lock of one of the places; the locks of a killed process are free."""
    directory.mkdir(parents=True, exist_ok=True)
    while True:
        for place in places:
            # The directory may be shared by several machines.
            lock = FileLock(directory / f"{socket.gethostname()}_{place.replace('/', '_')}.lock")
            try:
                lock.acquire(timeout=0)
            except Timeout:
                continue
            try:
                yield place
            finally:
                lock.release()
            return
        time.sleep(_SECONDS_BETWEEN_LOOKS)


def visible_devices() -> list[str]:
    """The GPUs of this process as CUDA_VISIBLE_DEVICES names them, found without PyTorch."""
    named = os.environ.get("CUDA_VISIBLE_DEVICES")
    if named is not None:
        return [device.strip() for device in named.split(",") if device.strip()]
    tool = shutil.which("nvidia-smi")
    if tool is None:
        return []
    listed = subprocess.run([tool, "--list-gpus"], capture_output=True, text=True, check=False).stdout
    return [str(index) for index in range(sum(row.startswith("GPU ") for row in listed.splitlines()))]
