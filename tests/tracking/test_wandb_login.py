"""Without a connection Weights & Biases is not waited for, and a login is found where it is."""

import socket
import time

import pytest
from wandb_records import recordings

from rbc_lightning.tracking.wandb_login import choose_mode, has_login, is_reachable
from rbc_lightning.tracking.wandb_tracking import WandbTracking

pytestmark = pytest.mark.usefixtures("no_login")


def record(tmp_path, **settings):
    """Record one row, from beginning to end."""
    tracking = WandbTracking(runs_dir=tmp_path, **settings)
    loggers = tracking.open(tmp_path / "run", job="train", tags=["rd"])
    loggers[-1].log_metrics({"val/dice": 0.5}, step=0)
    tracking.close(loggers)


@pytest.mark.parametrize("key", [None, "0" * 40], ids=["no login", "a wrong key"])
@pytest.mark.parametrize("mode", ["auto", "online"])
def test_without_a_network_nothing_waits(tmp_path, monkeypatch, capsys, mode, key):
    # A name that no resolver knows (RFC 6761): no connection, whatever network the machine has.
    monkeypatch.setenv("WANDB_BASE_URL", "https://wandb.invalid")
    if key is not None:
        monkeypatch.setenv("WANDB_API_KEY", key)
    started = time.monotonic()
    record(tmp_path, mode=mode)
    assert time.monotonic() - started < 5
    assert len(recordings(tmp_path / "run")) == 1
    why = "not logged in (`wandb login`)" if key is None else "https://wandb.invalid does not answer"
    assert f"Weights & Biases is offline: {why}" in capsys.readouterr().out


def test_a_server_that_never_answers_is_given_up(tmp_path, monkeypatch, capsys):
    with socket.create_server(("127.0.0.1", 0)) as server:
        url = f"http://127.0.0.1:{server.getsockname()[1]}"
        monkeypatch.setenv("WANDB_BASE_URL", url)
        monkeypatch.setenv("WANDB_API_KEY", "0" * 40)
        assert is_reachable(url)
        started = time.monotonic()
        record(tmp_path)
        assert time.monotonic() - started < 10
    assert "recording offline" in capsys.readouterr().out
    assert len(recordings(tmp_path / "run")) == 1


def test_a_login_is_found_wherever_wandb_keeps_it(no_login, monkeypatch):
    url = "https://wandb.invalid"
    monkeypatch.setenv("WANDB_BASE_URL", url)
    assert not has_login(url)
    (no_login / "netrc").write_text("machine elsewhere.invalid login user password key\n")
    assert not has_login(url)
    (no_login / "netrc").write_text("machine wandb.invalid login user password key\n")
    assert has_login(url)
    (no_login / "netrc").unlink()
    monkeypatch.setenv("WANDB_API_KEY", "key")
    assert has_login(url)


def test_the_user_says_how_runs_are_recorded(monkeypatch):
    assert [choose_mode(mode) for mode in ("offline", "disabled")] == [("offline", None), ("disabled", None)]
    monkeypatch.setenv("WANDB_MODE", "disabled")
    assert choose_mode("auto") == ("disabled", "WANDB_MODE=disabled")
    # What is written in the command line goes before the environment.
    assert choose_mode("offline") == ("offline", None)
