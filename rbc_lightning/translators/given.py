"""`translator.path`: a translator that lies in a directory, used instead of one that is trained."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rbc_lightning.core.files import content_hash, file_sha256
from rbc_lightning.core.recipe import Node
from rbc_lightning.data.lineage import Ancestor, from_rows
from rbc_lightning.translators.base import Translator, TranslatorRecipe
from rbc_lightning.translators.choosing import refuse_chosen_on_test
from rbc_lightning.translators.files import CHOSEN_ON, TRAINED_ON, no_translator, read_description

if TYPE_CHECKING:
    from rbc_lightning.core.store import Store
    from rbc_lightning.data.manifest import Manifest


@dataclass(frozen=True, kw_only=True)
class GivenTranslator(TranslatorRecipe):
    """The translator of a directory; its key follows from the content of its files, wherever they lie.

    Args:
        path: a directory that `stage=translator` made; all other settings are those of the run that uses it.

    Raises:
        InputError: no such directory, or no translator in it.
    """

    path: Path

    def __post_init__(self) -> None:
        read_description(self.path)

    def settings(self) -> dict[str, Any]:
        """The content of the files that decide what it generates."""
        try:
            return {"files": content_hash([file_sha256(self.path / name) for name in read_description(self.path)["files"]])}
        except OSError as error:
            raise no_translator(self.path, error) from error

    def inputs(self) -> dict[str, Node]:
        """None."""
        return {}

    def is_complete(self, directory: Path) -> bool:  # noqa: ARG002 (it lies elsewhere)
        """Always."""
        return True

    def assembler(self, store: Store) -> Callable[[Path | None], Translator]:
        """It is put together already, whatever the checkpoint."""
        return lambda checkpoint: self.load(self.path, store)  # noqa: ARG005 (the interface's)

    def load(self, directory: Path, store: Store) -> Translator:  # noqa: ARG002 (it lies elsewhere)
        """See `TranslatorRecipe`."""
        return super().load(self.path, store)

    def directory(self, store: Store) -> Path:  # noqa: ARG002 (it lies elsewhere)
        """See `TranslatorRecipe`."""
        return self.path

    def trained_on(self, store: Store) -> tuple[Ancestor, ...]:  # noqa: ARG002 (it lies elsewhere)
        """See `TranslatorRecipe`; as the directory has it."""
        return self._ancestors(TRAINED_ON)

    def refuse_held_out(self, manifest: Manifest) -> None:
        """See `TranslatorRecipe`."""
        chosen_on = self._ancestors(CHOSEN_ON, "val") if (self.path / CHOSEN_ON).is_file() else ()
        refuse_chosen_on_test(f"the translator in {self.path}", chosen_on, manifest)

    def _ancestors(self, name: str, *keys: str) -> tuple[Ancestor, ...]:
        try:
            content = json.loads((self.path / name).read_text())
            for key in keys:
                content = content[key]
            return from_rows(content)
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise no_translator(self.path, f"{name}: {error}") from error
