"""Places of a machine: a GPU or a core for one job alone; and what launchers have to say."""

import os
import re
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

from rbc_lightning.core.locks import try_lock
from rbc_lightning.errors import InputError


@contextmanager
def own_place(launcher: str, devices: int | None, directory: Path) -> Iterator[str | None]:
    """A GPU or a core for one job alone, waiting for a free one; yields its CUDA_VISIBLE_DEVICES, or None.

    One after the other, or with a cluster's queue, jobs need no places. `devices` are GPUs that the job's trainer asks for
    (-1: all), None on the CPU; all jobs of a machine share the `directory` of the locks.

    Raises:
        InputError: the job asks for more than one GPU where each job gets one.
    """
    places: list[str] = []
    # Of several jobs side by side on this machine.
    if launcher in ("joblib", "submitit_local") and devices is not None:
        places = visible_devices()
        if places and devices != 1:
            raise InputError(
                f"trainer.devices={devices} with hydra/launcher={launcher}, which gives each job one GPU; take "
                "trainer=gpu, or hydra/launcher=basic for one job after the other on all GPUs"
            )
    elif launcher == "submitit_local":
        # It starts all jobs at once, where joblib starts so many as there are cores, with a thread each.
        places = [f"core_{index}" for index in range(os.cpu_count() or 1)]
        os.environ.setdefault("OMP_NUM_THREADS", "1")
    with first_free(directory, places) if places else nullcontext() as place:
        yield place if devices is not None else None


@contextmanager
def first_free(directory: Path, places: list[str]) -> Iterator[str]:
    """Hold the lock of one of the places, waiting for it if need be; the locks of a killed process are free."""
    directory.mkdir(parents=True, exist_ok=True)
    while True:
        for place in places:
            # The directory may be shared by several machines.
            held = try_lock(directory / f"{socket.gethostname()}_{place.replace('/', '_')}.lock")
            if held is None:
                continue
            with held:
                yield place
            return
        time.sleep(1.0)


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


def launcher_failure(error: Exception) -> str:
    """One line for an exception that ended a launcher, with a remedy where there is one."""
    missing = re.search(r"hydra_plugins\.hydra_(\w+)_launcher", str(error))
    if missing and re.search("Unknown plugin|plugin .*installed", str(error), re.IGNORECASE | re.DOTALL):
        name = f"hydra-{missing[1]}-launcher"
        return f"this hydra/launcher needs the package {name}: install it (pip install {name}), or take hydra/launcher=basic"
    line = f"the launcher gave up ({type(error).__name__}): {error}"
    if re.search("srun|sbatch|slurm", str(error), re.IGNORECASE):
        line += "; on one machine without SLURM take hydra/launcher=joblib or hydra/launcher=submitit_local"
    return line
