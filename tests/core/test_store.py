import json
import multiprocessing
import os
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import joblib
import pytest

from rbc_lightning.core.files import content_hash
from rbc_lightning.core.recipe import Node, Recipe, aside
from rbc_lightning.core.store import Store, read_lineage


def write_number(directory):
    (directory / "number.txt").write_text("42")


@dataclass(frozen=True)
class Leaf(Node):
    name: str
    kind = "leaf"


@dataclass(frozen=True, kw_only=True)
class Thing(Recipe):
    """Made by a function that the test gives."""

    kind = "thing"
    title = "thing"
    a: int = 1
    source: Leaf | None = None
    make: Callable[[Path], object] = aside(write_number)

    def build(self, directory, store):
        self.make(directory)

    def load(self, directory, store):
        return directory


@dataclass(frozen=True, kw_only=True)
class Other(Thing):
    kind = "other"
    below: Thing | None = None


@dataclass(frozen=True, kw_only=True)
class Growing(Thing):
    kind = "set"
    title = "set"
    grows = True
    enough: Callable[[Path], bool] = aside(None)

    def is_complete(self, directory):
        return self.enough(directory)


def quiet(root):
    return Store(root, announce=lambda text: None)


def built_twice(directory):
    pytest.fail("built twice")


def test_a_thing_is_built_once_and_then_reused(tmp_path):
    said: list[str] = []
    recipe = Thing(source=Leaf("x"))
    first = Store(tmp_path, announce=said.append).ensure(recipe)
    later = Store(tmp_path, announce=said.append)
    second = later.ensure(Thing(source=Leaf("x"), make=built_twice))
    later.ensure(Thing(source=Leaf("x"), make=built_twice))
    assert first == second
    assert said == [f"Building thing {recipe.key}", f"Reused thing {recipe.key}"]
    lineage = read_lineage(first)
    assert (lineage["settings"], lineage["inputs"], lineage["kind"]) == ({"a": 1}, {"source": Leaf("x").key}, "thing")
    assert lineage["formats"] == {"leaf": 1, "thing": 1}


def test_what_lies_upstream_is_made_first_and_only_if_something_is_missing(tmp_path):
    order: list[str] = []
    below = Thing(make=lambda directory: order.append("below"))
    recipe = Other(below=below, make=lambda directory: order.append("above"))
    assert quiet(tmp_path).make(recipe).is_dir()
    assert order == ["below", "above"]
    quiet(tmp_path).path(below).joinpath("lineage.json").unlink()
    quiet(tmp_path).path(below).rmdir()
    quiet(tmp_path).make(recipe)
    assert order == ["below", "above"], "nobody needed it again"
    assert [made.key for made in recipe.upstream()] == [below.key]


def test_an_attempt_that_made_nothing_leaves_nothing(tmp_path):
    def fail(directory):
        raise RuntimeError("bad setting")

    with pytest.raises(RuntimeError, match="bad setting"):
        quiet(tmp_path).ensure(Thing(make=fail))
    assert not [path for path in (tmp_path / "thing").iterdir() if path.is_dir()]


def test_settings_inputs_and_kind_decide_the_key(tmp_path):
    recipes = [Thing(), Thing(a=2), Thing(source=Leaf("x")), Thing(source=Leaf("y")), Other()]
    assert len({quiet(tmp_path).ensure(recipe) for recipe in recipes}) == len(recipes)
    assert Thing(make=built_twice).key == Thing().key


def test_what_an_older_layout_left_is_named_and_left_alone(tmp_path):
    store = quiet(tmp_path)
    new = store.ensure(Thing())
    old = tmp_path / "thing" / "0123456789abcdef"
    old.mkdir()
    (old / "lineage.json").write_text(json.dumps({"kind": "thing", "settings": {"a": 1}, "inputs": []}))
    assert store.older() == [old]
    assert store.ensure(Thing(make=built_twice)) == new
    assert old.is_dir()


def test_equal_values_hash_equally_whatever_their_order():
    assert content_hash({"b": 1, "a": 1}) == content_hash({"a": 1, "b": 1})
    assert content_hash({"a": 1}) != content_hash({"a": 1.5})


def test_a_failed_build_leaves_nothing_whole_and_is_resumed(tmp_path):
    said: list[str] = []
    store = Store(tmp_path, announce=said.append)

    def half(directory):
        (directory / "part_1").write_text("done")
        raise RuntimeError("stopped")

    with pytest.raises(RuntimeError, match="stopped"):
        store.ensure(Thing(make=half))

    def rest(directory):
        assert (directory / "part_1").read_text() == "done"
        (directory / "part_2").write_text("done")

    directory = store.ensure(Thing(make=rest))
    assert said[-1].startswith("Resuming thing")
    assert sorted(path.name for path in directory.iterdir()) == ["lineage.json", "part_1", "part_2"]


def test_a_growing_artifact_is_extended_only_when_it_is_too_small(tmp_path):
    grown = []
    store = quiet(tmp_path)

    def size(directory):
        return len(list(directory.glob("item_*")))

    def grow(count):
        def build(directory):
            grown.append(count)
            for index in range(size(directory), count):
                (directory / f"item_{index}").write_text(str(index))

        return store.ensure(Growing(enough=lambda directory: size(directory) >= count, make=build))

    first, larger, smaller = grow(2), grow(5), grow(3)
    assert first == larger == smaller
    assert (grown, size(first)) == ([2, 5], 5)


def _race(root, barrier, log):
    def build(directory):
        with log.open("a") as handle:
            handle.write(f"{os.getpid()}\n")
        time.sleep(0.3)
        write_number(directory)

    barrier.wait()
    directory = quiet(root).ensure(Thing(make=build))
    assert (directory / "number.txt").read_text() == "42"


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

    quiet(root).ensure(Thing(make=build))


def test_a_killed_builder_leaves_no_whole_artifact_and_no_lock(tmp_path):
    builder = multiprocessing.get_context("fork").Process(target=_build_and_die, args=(tmp_path,))
    builder.start()
    builder.join(20)
    assert builder.exitcode == -signal.SIGKILL
    assert not list(tmp_path.rglob("lineage.json"))
    assert (quiet(tmp_path).ensure(Thing()) / "number.txt").is_file()


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

    return quiet(root).ensure(Growing(enough=lambda directory: _size(directory) >= count, make=build))


def _race_to_extend(root, count, barrier, log):
    barrier.wait()
    directory = _extend(root, count, log)
    assert all((directory / f"item_{index}").read_text() == str(index) for index in range(count))


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
    assert _extend(tmp_path / "store", 5, log) == directory
    assert (log.read_text().split(), _size(directory)) == (["2", "5"], 5)
    assert (directory / "item_0").stat().st_mtime_ns == first


def _build_slowly(root, begun):
    def build(directory):
        (directory / "part_1").write_text("half")
        begun.set()
        time.sleep(60)

    quiet(root).ensure(Thing(make=build))


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

    # One worker alone would be done with all calls before the other has started.
    here = root.with_name("workers")
    here.mkdir(exist_ok=True)
    (here / str(os.getpid())).touch()
    deadline = time.monotonic() + 60
    while len(list(here.iterdir())) < 2 and time.monotonic() < deadline:
        time.sleep(0.01)
    return quiet(root).ensure(Thing(make=build)), os.getpid()


def test_the_workers_of_a_launcher_build_an_artifact_once(tmp_path):
    """Processes as joblib's launcher starts them: new interpreters that share nothing but the directory."""
    log = tmp_path / "builders.txt"
    calls = (joblib.delayed(_get_in_another_interpreter)(tmp_path / "store", log) for _ in range(4))
    results = joblib.Parallel(n_jobs=2, backend="loky", batch_size=1)(calls)
    assert len({directory for directory, _ in results}) == 1
    assert len(log.read_text().splitlines()) == 1
    assert len({pid for _, pid in results}) == 2


def test_what_waits_for_a_store_is_done_once_when_it_begins(tmp_path):
    done = []
    store = quiet(tmp_path / "store")
    store.when_begun(lambda: done.append(store.root.is_dir()))
    assert not done
    assert not store.root.exists()
    for _ in range(2):
        store.ensure(Thing(make=write_number))
    assert done == [True]
    quiet(tmp_path / "store").when_begun(lambda: done.append("at once"))
    assert done == [True, "at once"]
