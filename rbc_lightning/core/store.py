"""The store: directories keyed by the recipes of what they hold, made once, and whole or not at all."""

import json
import platform
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

from rbc_lightning import __version__
from rbc_lightning.core.files import write_json
from rbc_lightning.core.locks import locked
from rbc_lightning.core.progress import tell
from rbc_lightning.core.recipe import LAYOUT, Recipe

_LINEAGE = "lineage.json"
Made = TypeVar("Made")


class Store:
    """Directories `<root>/<kind>/<key>`, the key being that of a recipe.

    A recipe builds into `<key>.partial` under a lock and the finished directory is renamed: whoever reads sees a whole
    directory or none, and two processes that want the same one make it once. The partial directory of a killed process stays,
    so that a builder able to resume finds its own work.

    Args:
        root: of all directories.
        announce: told in one line whatever is made or reused.
    """

    def __init__(self, root: Path, announce: Callable[[str], None] = tell) -> None:
        self.root = root.resolve()
        self.announce = announce
        self._used: dict[str, str] = {}
        self._waiting: list[Callable[[], object]] = []

    def when_begun(self, action: Callable[[], object]) -> None:
        """Call it once the store's directory is there: now, or when it begins."""
        self._waiting.append(action)
        if self.root.is_dir():
            self.begin()

    def begin(self) -> None:
        """Make the store's directory: something is about to be made, here or beside it."""
        self.root.mkdir(parents=True, exist_ok=True)
        while self._waiting:
            self._waiting.pop()()

    def path(self, recipe: Recipe[Any]) -> Path:
        """Where the result lies once it is made."""
        return self.root / recipe.kind / recipe.key

    def make(self, recipe: Recipe[Made]) -> Made:
        """The live object of a recipe, made first if it is not there."""
        return recipe.load(self.ensure(recipe), self)

    def ensure(self, recipe: Recipe[Any]) -> Path:
        """The finished directory of a recipe; whatever is missing upstream is made first, once."""
        final = self.path(recipe)
        if not recipe.is_complete(final):
            for upstream in recipe.upstream():
                self.ensure(upstream)
            self.begin()
            final.parent.mkdir(exist_ok=True)
            with locked(final.with_suffix(".lock"), f"{recipe.title} {final.name}", self.announce):
                # Another process may have finished it while this one waited for the lock.
                if not recipe.is_complete(final):
                    self._build(recipe, final)
                    self._used[recipe.kind] = final.name
        if self._used.get(recipe.kind) != final.name:
            self._used[recipe.kind] = final.name
            self.announce(f"Reused {recipe.title} {final.name}")
        return final

    def older(self) -> list[Path]:
        """Directories that an older layout of this package left, which is not used and stays as it is."""
        found = []
        for path in sorted(self.root.glob(f"*/*/{_LINEAGE}")):
            try:
                content = json.loads(path.read_text())
            except (OSError, ValueError):
                continue
            if isinstance(content, dict) and content.get("layout") != LAYOUT:
                found.append(path.parent)
        return found

    def _build(self, recipe: Recipe[Any], final: Path) -> None:
        directory = final if recipe.grows else final.with_suffix(".partial")
        begun = directory.is_dir()
        directory.mkdir(exist_ok=True)
        verb = ("Extending" if recipe.grows else "Resuming") if begun else "Building"
        self.announce(f"{verb} {recipe.title} {final.name}")
        if recipe.grows and not begun:
            _write_lineage(directory, recipe)
        try:
            recipe.build(directory, self)
        except BaseException:
            # An attempt that made nothing leaves nothing.
            if not recipe.grows and not any(directory.iterdir()):
                directory.rmdir()
            raise
        if not recipe.grows:
            _write_lineage(directory, recipe)
            directory.rename(final)


def read_lineage(directory: Path) -> dict[str, Any]:
    """What was written beside a made thing: settings, inputs, formats, package version, time."""
    content: dict[str, Any] = json.loads((directory / _LINEAGE).read_text())
    return content


def _write_lineage(directory: Path, recipe: Recipe[Any]) -> None:
    made = {
        "formats": recipe.formats(),
        "version": __version__,
        "python": platform.python_version(),
        "made": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    write_json(directory / _LINEAGE, {**recipe.describe(), **made})
