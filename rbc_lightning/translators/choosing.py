"""Which checkpoint of a training becomes the translator, and that no test sample had a say in it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from rbc_lightning.core.files import write_json
from rbc_lightning.core.progress import tell
from rbc_lightning.data.lineage import Ancestor, find_twin, to_rows
from rbc_lightning.errors import InputError
from rbc_lightning.translators.files import CHECKPOINTS, CHOSEN_ON

if TYPE_CHECKING:
    from rbc_lightning.core.store import Store
    from rbc_lightning.data.manifest import Manifest
    from rbc_lightning.translators.base import Translator


class Scorer(Protocol):
    """Gives a translator a score, the higher the better."""

    def score(self, translator: Any) -> float:  # noqa: ANN401 (a translator)
        """Of one checkpoint."""


class Chooser(Protocol):
    """A `core.recipe.Node` that tells better checkpoints from worse."""

    @property
    def key(self) -> str:
        """Hash of its settings and inputs."""

    @property
    def chosen_on(self) -> tuple[Ancestor, ...]:
        """The samples that have a say."""

    def open(self, store: Store) -> Scorer:
        """What gives the scores, everything upstream made first."""


def best_checkpoint(
    checkpoints: Sequence[Path], assemble: Callable[[Path], Translator], chooser: Chooser, directory: Path, store: Store
) -> Path:
    """Of the checkpoints kept in training, the one that the chooser scores highest.

    Of equal ones the first is taken. The directory gets all scores, and the names of the samples that had a say.
    """
    scorer = chooser.open(store)
    scores: dict[str, float] = {}
    for path in checkpoints:
        scores[path.stem] = scorer.score(assemble(path))
        tell(f"Checkpoint {path.stem}: score {scores[path.stem]:.4f}")
    write_json(directory / CHECKPOINTS, scores)
    best = max(checkpoints, key=lambda path: scores[path.stem])
    tell(f"Taking checkpoint {best.stem}")
    # A later split must not test on them.
    write_json(directory / CHOSEN_ON, {"val": to_rows(chooser.chosen_on)})
    return best


def refuse_chosen_on_test(what: str, chosen_on: Sequence[Ancestor], manifest: Manifest) -> None:
    """Refuse what was chosen on samples that are test samples of a manifest, with an `InputError` that names one."""
    found = find_twin(manifest.split("test"), chosen_on)
    if found is not None:
        raise InputError(
            f"{what} was chosen on {found[1]}, which is in the test split here: train one with this split "
            "(stage=translator without translator.path)"
        )
