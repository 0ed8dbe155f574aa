"""A translator's directory: what its own class writes, and beside it which class that is."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rbc_lightning.core.build import build
from rbc_lightning.core.files import write_json
from rbc_lightning.errors import InputError

if TYPE_CHECKING:
    from rbc_lightning.translators.base import LoadContext, Translator

DESCRIPTION, TRAINED_ON = "translator.json", "trained_on.json"
CHOSEN_ON, CHECKPOINTS = "chosen_on.json", "checkpoints.json"
_BESIDE = (DESCRIPTION, TRAINED_ON, CHOSEN_ON, CHECKPOINTS)


def save_translator(translator: Translator, directory: Path, settings: Mapping[str, Any]) -> None:
    """Write a translator into a directory of its own, and beside it `translator.json`, with settings to be looked up."""
    translator.save(directory)
    files = sorted(path.name for path in directory.iterdir() if path.name not in _BESIDE and not path.name.startswith("."))
    target = f"{type(translator).__module__}.{type(translator).__qualname__}"
    write_json(directory / DESCRIPTION, {"_target_": target, "files": files, "settings": dict(settings)})


def load_translator(directory: Path, context: LoadContext) -> Translator:
    """Read what `save_translator` wrote, by the class named there; an `InputError` where it does not fit together."""
    loader = {"_target_": f"{read_description(directory)['_target_']}.load"}
    translator: Translator = build(loader, "translator", directory=directory, context=context)
    return translator


def read_description(directory: Path) -> dict[str, Any]:
    """Of a translator's directory the class that reads it (`_target_`), its deciding `files` and its `settings`.

    An `InputError` where there is no translator, or one of an older layout.
    """
    if not directory.is_dir():
        raise InputError(
            f"translator.path={directory}: no such directory; expected one that stage=translator made, such as "
            "artifacts/translator/KEY"
        )
    path = directory / DESCRIPTION
    if not path.is_file() and (directory / "translator.yaml").is_file():
        raise InputError(
            f"{directory}: a translator of an older layout, without {DESCRIPTION}; train it again with stage=translator"
        )
    try:
        content = json.loads(path.read_text())
        return {name: content[name] for name in ("_target_", "files", "settings")}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise no_translator(directory, error) from error


def no_translator(directory: Path, error: Exception | str) -> InputError:
    """The error for a directory that is not whole."""
    return InputError(
        f"{directory}: not a translator ({error}); expected a directory written by stage=translator with {DESCRIPTION}, "
        f"{TRAINED_ON} and weights: check translator.path, or make it again with this version"
    )
