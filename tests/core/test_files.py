import json

import numpy as np
import pytest

from rbc_lightning.core.files import (
    check_name,
    content_hash,
    file_sha256,
    read_arrays,
    replacing,
    to_plain,
    write_arrays,
    write_atomically,
    write_json,
    write_rows,
)
from rbc_lightning.errors import InputError


@pytest.mark.parametrize("opened", [False, True])
def test_a_failed_write_keeps_what_was_there_and_leaves_nothing_else(tmp_path, opened):
    path = tmp_path / "file.txt"
    path.write_text("before")

    def fail(part):
        part.write_text("half")
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):  # noqa: PT012 (both ways to fail)
        if opened:
            with replacing(path) as file:
                file.write(b"half")
                raise OSError("disk full")
        write_atomically(path, fail)
    assert [entry.name for entry in tmp_path.iterdir()] == ["file.txt"]
    assert path.read_text() == "before"


def test_missing_directories_are_made(tmp_path):
    write_json(tmp_path / "a" / "b.json", {"z": 1, "a": [2]})
    assert (tmp_path / "a" / "b.json").read_text() == json.dumps({"a": [2], "z": 1}, indent=2) + "\n"


def test_rows_become_a_table(tmp_path):
    write_rows(tmp_path / "t.csv", [{"name": "x, y", "dice": 0.5}, {"dice": 1.0, "name": "z"}])
    assert (tmp_path / "t.csv").read_text().splitlines() == ["name,dice", '"x, y",0.5', "z,1.0"]


def test_arrays_come_back_with_their_version(tmp_path):
    write_arrays(tmp_path / "a.npz", {"x": np.arange(3)}, version=2)
    np.testing.assert_array_equal(read_arrays(tmp_path / "a.npz", 2, ["x"], "thing", "make()")["x"], [0, 1, 2])
    with pytest.raises(ValueError, match=r"a thing of version 2, expected 3; make it again with make\(\)"):
        read_arrays(tmp_path / "a.npz", 3, ["x"], "thing", "make()")
    with pytest.raises(ValueError, match="a thing of version 2, expected 3"):
        read_arrays(tmp_path / "a.npz", 3, ["x", "new"], "thing", "make()")
    for version in (2, 3):
        with pytest.raises(ValueError, match="is not a thing: it holds"):
            read_arrays(tmp_path / "a.npz", version, ["y"], "thing", "make()")


def test_hashes(tmp_path):
    (tmp_path / "x").write_bytes(b"abc")
    assert file_sha256(tmp_path / "x") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert len(content_hash({"a": (1, 2)})) == 16
    assert content_hash({"a": (1, 2)}) == content_hash({"a": [1, 2]})
    assert to_plain({1: tmp_path}) == {"1": str(tmp_path)}


@pytest.mark.parametrize("name", ["lab/2024", "../lab", "", ".hidden", "a\\b", "a:b", "a\n", " lab", "-lab"])
def test_what_would_put_a_directory_elsewhere_is_no_name(name):
    with pytest.raises(InputError, match=r"(?s)^data\.name=.*expected letters, digits.*since it names directories: rename it"):
        check_name("data.name", name)


@pytest.mark.parametrize("name", ["lab_2024", "Büro 7", "fcn8s-x0.5+aug", 2024])
def test_names_for_directories_are_kept(name):
    assert check_name("data.name", name) == str(name)
