"""Shared fixtures: a tiny data set on disk, configurations that write below the test's own directory, and one finished run."""

import os
import shutil
import sys
from pathlib import Path
from urllib.error import URLError

import pytest
from filelock import FileLock

if "PYTEST_XDIST_WORKER" in os.environ:
    # One core for each worker, read when PyTorch, NumPy and Numba are imported, here and in the processes that tests start.
    os.environ.update(dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS"), "1"))

sys.path.insert(0, str(Path(__file__).parent))

from tiny_data import write_tiny_folder

REPOSITORY = Path(__file__).resolve().parents[1]
SHARED = REPOSITORY.parent / "shared"


@pytest.fixture(scope="session")
def shared(tmp_path_factory):
    """A directory of the session, the same for all workers."""
    own = tmp_path_factory.getbasetemp()
    return own.parent if "PYTEST_XDIST_WORKER" in os.environ else own


@pytest.fixture(scope="session")
def tiny_folder(shared):
    """A tiny data set: to be read."""
    root = shared / "tiny" / "data"
    with FileLock(shared / "tiny.lock"):
        return root if root.is_dir() else write_tiny_folder(root)


@pytest.fixture
def own_folder(tmp_path):
    """A tiny data set that the test may damage."""
    return write_tiny_folder(tmp_path / "data")


@pytest.fixture(scope="session")
def compose_tiny(tiny_folder):
    """Compose the configuration at `scale=tiny` on the tiny data set, writing below `directory`."""
    from rbc_lightning.app import compose

    def build(directory, *overrides, root=tiny_folder):
        base = ["scale=tiny", "data=folder", f"data.root={root}", "trainer.progress_bar=false", "floor=none"]
        return compose([*base, f"artifacts_dir={directory}/artifacts", f"runs_dir={directory}/runs", *overrides])

    return build


@pytest.fixture(scope="session")
def made(shared, compose_tiny):
    """A run of `+experiment=rd_sd_aug` below runs/, its translator and pairs below artifacts/: to be read or copied."""
    from rbc_lightning.app import run

    with FileLock(shared / "made.lock"):
        run(compose_tiny(shared / "made", "+experiment=rd_sd_aug"))
    return shared / "made"


@pytest.fixture(scope="session")
def compose_made(made, compose_tiny):
    """As `compose_tiny`, with a copy of the artifacts of `made` where there are none: nothing of them is made anew."""

    def build(directory, *overrides):
        if not (directory / "artifacts").is_dir():
            shutil.copytree(made / "artifacts", directory / "artifacts")
        return compose_tiny(directory, *overrides)

    return build


@pytest.fixture
def shared_smears():
    root = SHARED / "bbbc041seg"
    if not root.is_dir():
        pytest.skip("the real smears (../shared/bbbc041seg) are not on this machine")
    return root


@pytest.fixture
def hub_offline(monkeypatch, tmp_path):
    """PyTorch's hub with an empty cache, which is returned, and without a network."""

    def refuse(*args, **kwargs):
        raise URLError("Name or service not known")

    monkeypatch.setattr("torch.hub.download_url_to_file", refuse)
    monkeypatch.setattr("socket.create_connection", refuse)
    monkeypatch.setattr("torch.hub._hub_dir", None)
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    return tmp_path
