"""Results need a directory; what is no such place is refused by its setting."""

import os

import pytest

from rbc_lightning.app import compose
from rbc_lightning.commands.writable import check_writable
from rbc_lightning.errors import InputError


@pytest.mark.parametrize("key", ["artifacts_dir", "runs_dir"])
def test_a_file_is_no_place_for_results(key, tmp_path):
    (tmp_path / "file").write_text("")
    for place in ("file", "file/below"):
        with pytest.raises(
            InputError, match=rf"{key}=.*{place}: .*file is a file; expected a directory for results: set {key}="
        ):
            check_writable(compose([f"{key}={tmp_path / place}"]))
    check_writable(compose([f"{key}={tmp_path / 'new' / 'one'}"]))
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_a_directory_that_nothing_can_be_written_to_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "access", lambda *_: False)
    with pytest.raises(InputError, match=r"runs_dir=.*: .* cannot be written to; expected a directory for results"):
        check_writable(compose([f"artifacts_dir={tmp_path}", f"runs_dir={tmp_path}"]))
