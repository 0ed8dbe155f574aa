"""What the tests of whole sweeps share."""

import os
import sys
import time
from pathlib import Path


def sweep(directory, *overrides):
    places = (f"artifacts_dir={directory}/artifacts", f"runs_dir={directory}/runs")
    return ["+sweep=table2", "scale=tiny", "training.steps=2", "floor=none", *places, *overrides]


def finished(directory):
    return {path.parent.name: path.stat().st_mtime_ns for path in directory.glob("runs/*/metrics.json")}


def command(directory, launcher):
    jobs = ["hydra.launcher.n_jobs=2"] if launcher == "joblib" else []
    return [sys.executable, "-m", "rbc_lightning", *sweep(directory, "seed=0,1", f"hydra/launcher={launcher}", *jobs)]


def one_thread():
    return {**os.environ, "OMP_NUM_THREADS": "1", "NUMBA_NUM_THREADS": "1"}


def table_of(directory):
    """Table 2 of a finished sweep, without the pictures."""
    from rbc_lightning.app import compose, run

    run(compose([override for override in sweep(directory, "stage=report", "report.gallery=0") if "sweep" not in override]))
    return [(directory / "runs" / "report" / "phantom" / f"table2.{suffix}").read_bytes() for suffix in ("csv", "md", "tex")]


def eventually(condition, seconds=60.0):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():
            return True
        time.sleep(0.05)
    return False


def is_gone(pid):
    status = Path(f"/proc/{pid}/status")
    return not status.exists() or "State:\tZ" in status.read_text()
