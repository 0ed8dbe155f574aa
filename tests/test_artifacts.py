import json
import multiprocessing
import os
import signal
import time

import joblib
import pytest
from omegaconf import OmegaConf

from rbc_lightning.artifacts import ArtifactStore, content_hash


def write_number(directory):
    (directory / "number.txt").write_text("42")


def test_an_artifact_is_built_once_and_then_reused(tmp_path):
    said: list[str] = []
    store = ArtifactStore(tmp_path, announce=said.append)
    first = store.get("thing", {"a": 1}, ["x"], write_number)
    later = ArtifactStore(tmp_path, announce=said.append)
    second = later.get("thing", {"a": 1}, ["x"], lambda directory: pytest.fail("built twice"))
    later.get("thing", {"a": 1}, ["x"], lambda directory: pytest.fail("built twice"))
    assert (first.reused, second.reused, first.path) == (False, True, second.path)
    assert said == [f"Building thing {first.key}", f"Reused thing {first.key}"]
    lineage = json.loads((first.path / "lineage.json").read_text())
    assert (lineage["settings"], lineage["inputs"], lineage["kind"]) == ({"a": 1}, ["x"], "thing")


def test_an_attempt_that_made_nothing_leaves_nothing(tmp_path):
    def fail(directory):
        raise RuntimeError("bad setting")

    with pytest.raises(RuntimeError, match="bad setting"):
        ArtifactStore(tmp_path, announce=lambda text: None).get("thing", {}, [], fail)
    assert not [path for path in (tmp_path / "thing").iterdir() if path.is_dir()]


def test_settings_inputs_and_kind_decide_the_key(tmp_path):
    store = ArtifactStore(tmp_path, announce=lambda text: None)
    keys = {
        store.get(kind, settings, inputs, write_number).key
        for kind, settings, inputs in [
            ("thing", {"a": 1}, []),
            ("thing", {"a": 2}, []),
            ("thing", {"a": 1}, ["x"]),
            ("other", {"a": 1}, []),
        ]
    }
    assert len(keys) == 4


def test_equal_configurations_hash_equally_whatever_their_order():
    config = OmegaConf.create({"b": 1, "a": "${b}"})
    assert content_hash(config) == content_hash({"a": 1, "b": 1})
    assert content_hash({"a": 1}) != content_hash({"a": 1.5})


def test_a_failed_build_leaves_nothing_whole_and_is_resumed(tmp_path):
    said: list[str] = []
    store = ArtifactStore(tmp_path, announce=said.append)

    def half(directory):
        (directory / "part_1").write_text("done")
        raise RuntimeError("stopped")

    with pytest.raises(RuntimeError, match="stopped"):
        store.get("thing", {}, [], half)

    def rest(directory):
        assert (directory / "part_1").read_text() == "done"
        (directory / "part_2").write_text("done")

    artifact = store.get("thing", {}, [], rest)
    assert not artifact.reused
    assert said[-1].startswith("Resuming thing")
    assert sorted(path.name for path in artifact.path.iterdir()) == ["lineage.json", "part_1", "part_2"]


def test_a_growing_artifact_is_extended_only_when_it_is_too_small(tmp_path):
    store = ArtifactStore(tmp_path, announce=lambda text: None)

    def size(directory):
        return len(list(directory.glob("item_*")))

    def grow(count):
        def build(directory):
            for index in range(size(directory), count):
                (directory / f"item_{index}").write_text(str(index))

        return store.extend("set", {"a": 1}, [], lambda directory: size(directory) >= count, build)

    first, larger, smaller = grow(2), grow(5), grow(3)
    assert first.path == larger.path == smaller.path
    assert [first.reused, larger.reused, smaller.reused] == [False, False, True]
    assert size(first.path) == 5


def _race(root, barrier, log):
    def build(directory):
        with log.open("a") as handle:
            handle.write(f"{os.getpid()}\n")
        time.sleep(0.3)
        write_number(directory)

    barrier.wait()
    artifact = ArtifactStore(root, announce=lambda text: None).get("thing", {"a": 1}, [], build)
    assert (artifact.path / "number.txt").read_text() == "42"


def test_processes_that_race_for_one_artifact_build_it_once(tmp_path):
    context = multiprocessing.get_context("fork")
    barrier, log = context.Barrier(3), tmp_path / "builders.txt"
    racers = [context.Process(target=_race, args=(tmp_path / "store", barrier, log)) for _ in range(3)]
    for racer in racers:
        racer.start()
    for racer in racers:
        racer.join(20)
    assert [racer.exitcode for racer in racers] == [0, 0, 0]
    assert len(log.read_text().splitlines()) == 1


def _build_and_die(root):
    def build(directory):
        (directory / "part_1").write_text("half")
        os.kill(os.getpid(), signal.SIGKILL)

    ArtifactStore(root, announce=lambda text: None).get("thing", {}, [], build)


def test_a_killed_builder_leaves_no_whole_artifact_and_no_lock(tmp_path):
    builder = multiprocessing.get_context("fork").Process(target=_build_and_die, args=(tmp_path,))
    builder.start()
    builder.join(20)
    assert builder.exitcode == -signal.SIGKILL
    assert not list(tmp_path.rglob("lineage.json"))
    artifact = ArtifactStore(tmp_path, announce=lambda text: None).get("thing", {}, [], write_number)
    assert (artifact.path / "number.txt").is_file()


def _grow(directory, count, log):
    """Add items up to `count`, then the table that names them."""
    with log.open("a") as handle:
        handle.write(f"{count}\n")
    for index in range(count):
        path = directory / f"item_{index}"
        if not path.is_file():
            path.write_text(str(index))
            time.sleep(0.02)
    part = directory / "table.part"
    part.write_text(str(count))
    part.replace(directory / "table")


def _size(directory):
    table = directory / "table"
    return int(table.read_text()) if table.is_file() else 0


def _extend(root, count, log, dying_at=None):
    def build(directory):
        if dying_at is not None:
            _grow(directory, dying_at, log)
            (directory / "table").unlink()
            os.kill(os.getpid(), signal.SIGKILL)
        _grow(directory, count, log)

    store = ArtifactStore(root, announce=lambda text: None)
    return store.extend("set", {"a": 1}, [], lambda directory: _size(directory) >= count, build)


def _race_to_extend(root, count, barrier, log):
    barrier.wait()
    artifact = _extend(root, count, log)
    assert all((artifact.path / f"item_{index}").read_text() == str(index) for index in range(count))


def test_processes_that_race_for_a_growing_artifact_each_get_enough(tmp_path):
    context = multiprocessing.get_context("fork")
    barrier, log = context.Barrier(4), tmp_path / "builders.txt"
    counts = [3, 9, 9, 3]
    racers = [context.Process(target=_race_to_extend, args=(tmp_path / "store", n, barrier, log)) for n in counts]
    for racer in racers:
        racer.start()
    for racer in racers:
        racer.join(20)
    assert [racer.exitcode for racer in racers] == [0] * 4
    # Whoever came first: nobody builds what is there.
    assert log.read_text().split() in (["9"], ["3", "9"])


def test_a_killed_builder_of_a_growing_artifact_leaves_what_the_next_goes_on_with(tmp_path):
    log = tmp_path / "builders.txt"
    builder = multiprocessing.get_context("fork").Process(target=_extend, args=(tmp_path / "store", 5, log, 2))
    builder.start()
    builder.join(20)
    assert builder.exitcode == -signal.SIGKILL
    (directory,) = (path for path in (tmp_path / "store" / "set").iterdir() if path.is_dir())
    first = (directory / "item_0").stat().st_mtime_ns
    artifact = _extend(tmp_path / "store", 5, log)
    assert (artifact.path, artifact.reused, _size(directory)) == (directory, False, 5)
    assert (directory / "item_0").stat().st_mtime_ns == first


def _build_slowly(root, begun):
    def build(directory):
        (directory / "part_1").write_text("half")
        begun.set()
        time.sleep(60)

    ArtifactStore(root, announce=lambda text: None).get("thing", {"a": 1}, [], build)


def test_who_waits_for_a_builder_that_is_killed_builds_it(tmp_path):
    context = multiprocessing.get_context("fork")
    begun = context.Event()
    builder = context.Process(target=_build_slowly, args=(tmp_path / "store", begun))
    builder.start()
    assert begun.wait(20)
    barrier, log = context.Barrier(2), tmp_path / "builders.txt"
    waiting = [context.Process(target=_race, args=(tmp_path / "store", barrier, log)) for _ in range(2)]
    for process in waiting:
        process.start()
    time.sleep(0.3)
    assert not log.exists(), "two built at once"
    builder.kill()
    for process in waiting:
        process.join(20)
    assert [process.exitcode for process in waiting] == [0, 0]
    assert len(log.read_text().splitlines()) == 1


def _get_in_another_interpreter(root, log):
    def build(directory):
        with log.open("a") as handle:
            handle.write(f"{os.getpid()}\n")
        time.sleep(0.3)
        write_number(directory)

    return ArtifactStore(root, announce=lambda text: None).get("thing", {"a": 1}, [], build).reused, os.getpid()


def test_the_workers_of_a_launcher_build_an_artifact_once(tmp_path):
    """Processes as joblib's launcher starts them: new interpreters that share nothing but the directory."""
    log = tmp_path / "builders.txt"
    calls = (joblib.delayed(_get_in_another_interpreter)(tmp_path / "store", log) for _ in range(4))
    results = joblib.Parallel(n_jobs=2, backend="loky", batch_size=1)(calls)
    assert sorted(reused for reused, _ in results) == [False, True, True, True]
    assert len(log.read_text().splitlines()) == 1
    assert len({pid for _, pid in results}) == 2
