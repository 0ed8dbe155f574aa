"""Shared fixtures: a tiny data set on disk, and configurations that write below the test's own directory."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from tiny_data import write_tiny_folder

REPOSITORY = Path(__file__).resolve().parents[1]
SHARED = REPOSITORY.parent / "shared"


@pytest.fixture(scope="session")
def tiny_folder(tmp_path_factory):
    return write_tiny_folder(tmp_path_factory.mktemp("tiny") / "data")


@pytest.fixture
def own_folder(tmp_path):
    """A tiny data set that the test may damage."""
    return write_tiny_folder(tmp_path / "data")


@pytest.fixture(scope="session")
def compose_tiny(tiny_folder):
    """Compose the configuration at `scale=tiny` on the tiny data set, writing below `directory`."""
    from rbc_lightning.app import compose

    def build(directory, *overrides, root=tiny_folder):
        base = ["scale=tiny", "data=folder", f"data.root={root}", "trainer.progress_bar=false"]
        return compose([*base, f"artifacts_dir={directory}/artifacts", f"runs_dir={directory}/runs", *overrides])

    return build


@pytest.fixture
def shared_smears():
    root = SHARED / "bbbc041seg"
    if not root.is_dir():
        pytest.skip("the real smears (../shared/bbbc041seg) are not on this machine")
    return root
