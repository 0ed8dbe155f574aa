import json
import os

import pytest

from rbc_lightning.core.files import file_sha256
from rbc_lightning.data import checked
from rbc_lightning.data.checked import CheckedPairs


@pytest.fixture
def files(tmp_path, monkeypatch):
    monkeypatch.setattr(checked, "_RESTED_NS", 0)
    pair = tmp_path / "image.png", tmp_path / "labels.png"
    pair[0].write_bytes(b"image")
    pair[1].write_bytes(b"labels")
    return pair


def calls(path, files):
    """How often the files are checked when a file of what passed lies at `path`."""
    pairs, called = CheckedPairs(path), []
    assert pairs.hashes(files, lambda: called.append(1)) == tuple(map(file_sha256, files))
    pairs.save()
    return len(called)


def test_what_passed_is_not_checked_again_until_it_changes(tmp_path, files):
    path = tmp_path / "there" / "checked.json"
    assert [calls(path, files) for _ in range(3)] == [1, 0, 0]
    # The same size and modification time, as a copying tool may leave them.
    before = files[1].stat()
    files[1].write_bytes(b"LABELS")
    os.utime(files[1], ns=(before.st_atime_ns, before.st_mtime_ns))
    assert [calls(path, files) for _ in range(2)] == [1, 0]
    files[0].write_bytes(b"longer image")
    assert [calls(path, files) for _ in range(2)] == [1, 0]


def test_files_beside_a_pair_count_too(tmp_path, files):
    path, second, called = tmp_path / "checked.json", tmp_path / "second.png", []

    def check(*beside):
        pairs = CheckedPairs(path)
        pairs.hashes(files, lambda: called.append(beside), beside)
        pairs.save()

    second.write_bytes(b"second")
    for _ in range(2):
        check(second)
    second.write_bytes(b"others")
    check(second)
    check()
    assert called == [(second,), (second,), ()]


def test_what_has_just_changed_is_not_trusted_yet(tmp_path, files, monkeypatch):
    monkeypatch.setattr(checked, "_RESTED_NS", 3600 * 10**9)
    assert [calls(tmp_path / "checked.json", files) for _ in range(2)] == [1, 1]
    assert not (tmp_path / "checked.json").exists()


def test_without_a_file_nothing_is_remembered(files):
    assert [calls(None, files) for _ in range(2)] == [1, 1]


def test_what_fails_is_not_remembered(tmp_path, files):
    pairs = CheckedPairs(tmp_path / "checked.json")

    def refuse():
        raise ValueError("bad")

    with pytest.raises(ValueError, match="bad"):
        pairs.hashes(files, refuse)
    pairs.save()
    assert calls(tmp_path / "checked.json", files) == 1


@pytest.mark.parametrize("content", ["no json", "[]", "{}", '{"checks": 1, "pairs": {"a": 1}}'])
def test_what_is_no_such_file_counts_as_empty(tmp_path, files, content):
    path = tmp_path / "checked.json"
    path.write_text(content)
    assert [calls(path, files) for _ in range(2)] == [1, 0]


def test_other_checks_are_made_anew(tmp_path, files, monkeypatch):
    path = tmp_path / "checked.json"
    assert calls(path, files) == 1
    monkeypatch.setattr(checked, "CHECKS", checked.CHECKS + 1)
    assert [calls(path, files) for _ in range(2)] == [1, 0]
    assert json.loads(path.read_text())["checks"] == checked.CHECKS


def test_a_place_that_cannot_be_written_stops_nobody(tmp_path, files):
    (tmp_path / "file").write_text("")
    assert [calls(tmp_path / "file" / "checked.json", files) for _ in range(2)] == [1, 1]
