"""Without an account of Weights & Biases, whoever runs the tests."""

import pytest


@pytest.fixture
def no_login(monkeypatch, tmp_path):
    """No credentials, and a home of its own, which is given."""
    wandb = pytest.importorskip("wandb", reason="an optional package")
    from wandb_records import without_login

    home = tmp_path / "home"
    home.mkdir()
    without_login(monkeypatch, home)
    yield home
    wandb.teardown()
