"""Pairs of a pair GAN, image and label map drawn together from noise; the configurations dcgan, wgan, wgan_gp."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from rbc_lightning.core.build import Spec
from rbc_lightning.core.recipe import Node, aside
from rbc_lightning.core.seeds import derive_seed, pair_seeds
from rbc_lightning.core.trainer import TrainerSettings, check_count, check_word
from rbc_lightning.data.augment.crops import random_crop
from rbc_lightning.data.manifest import Samples
from rbc_lightning.data.mix import Mix, MixStream, SharedStream
from rbc_lightning.data.spec import Image, LabelMap
from rbc_lightning.errors import InputError, blaming
from rbc_lightning.pairs.base import Pair, PairSource, RealView
from rbc_lightning.pairs.gan.phase import PairGanPhase, slice_heights

if TYPE_CHECKING:
    from rbc_lightning.core.store import Store


@dataclass(frozen=True, kw_only=True)
class GanPairs(PairSource):
    """Pairs that a GAN draws; their heights are those of training slices, drawn as often as in its training.

    Args:
        task, steps, steps_per_epoch, batch_size, height, labelled, focus: see `PairGanPhase`.
        gan_seed: of the training.
        trainer: how it is trained, and where pairs are drawn.
        name: what tables and plans call it.
        tracking: where the curves go.
        context: draw the classes that lie around as well, which pairs on disk leave out.
        speck: patches of the mask of fewer pixels are left out.
        crop: side of the crops that segmenters are trained on, pixels, None for whole images; pairs are not smaller.

    Raises:
        InputError: a setting is refused.
    """

    task: Spec
    gan_seed: int
    trainer: TrainerSettings
    name: str = aside("pair GAN")
    tracking: Any = aside(None)  # a `Tracking`
    steps: int
    steps_per_epoch: int
    batch_size: int
    height: bool = True
    labelled: float | None = None
    focus: float = 0
    context: bool = False
    speck: int = 3
    crop: int | None = aside(None)

    def __post_init__(self) -> None:
        for name in ("steps", "steps_per_epoch", "batch_size"):
            check_count(f"pairs.{name}", getattr(self, name), 1)
        check_count("pairs.speck", self.speck, 0)
        check_word("pairs.height", self.height, (True, False))
        check_word("pairs.context", self.context, (True, False))
        if self.steps % self.steps_per_epoch:
            raise InputError(
                f"pairs.steps={self.steps} is no multiple of pairs.steps_per_epoch={self.steps_per_epoch}; take "
                f"pairs.steps={self.steps - self.steps % self.steps_per_epoch + self.steps_per_epoch}"
            )
        if self.labelled is not None and not 0 < self.labelled < 1:
            raise InputError(f"pairs.labelled={self.labelled}; expected a share above 0 and below 1, or null")
        if not 0 <= self.focus <= 1:
            raise InputError(f"pairs.focus={self.focus}; expected a share from 0 to 1")
        self._check_size(self.size)

    @property
    def size(self) -> Any:  # noqa: ANN401 (an int, once it is checked)
        """Side of the pairs, pixels."""
        return self.task.get("size", 64)

    def _check_size(self, size: object) -> None:
        from rbc_lightning.pairs.gan.nets import halvings

        if not isinstance(size, int) or size < 1:
            raise InputError(
                f"pairs.task.size={size}; expected a whole number of at least 1, the side of the pairs in pixels: set it, or "
                "training.crop, which it follows"
            )
        with blaming("pairs.task"):
            halvings(size)
        if self.crop is not None and self.crop > size:
            raise InputError(
                f"pairs.task.size={size} px, while segmenters are trained on crops of {self.crop} (training.crop); expected "
                f"pairs of at least that size: take training.crop={size}"
            )

    @cached_property
    def phase(self) -> PairGanPhase:
        """The training."""
        own = ("task", "steps", "steps_per_epoch", "batch_size", "height", "labelled", "focus", "trainer", "tracking", "name")
        around: dict[str, Any] = (
            {"train": self.train.with_context(), "n_targets": len(self.train.spec.classes)} if self.context else {}
        )
        given: dict[str, Any] = {"train": self.train, **around, **{name: getattr(self, name) for name in own}}
        return PairGanPhase(seed=self.gan_seed, **given)

    def settings(self) -> dict[str, Any]:
        """Those that are not settings of the training."""
        return {"source": type(self).__name__, "seed": self.seed, "speck": self.speck}

    def inputs(self) -> dict[str, Node]:
        """Training samples, and the training."""
        return {"train": self.train, self.phase.kind: self.phase}

    @property
    def translator_key(self) -> str:
        """Of the training."""
        return self.phase.key

    def open(self, store: Store) -> Callable[[int], Pair]:
        """See `PairSource`."""
        import torch

        task, phase = store.make(self.phase), self.phase
        device = self.trainer.device
        network = task.drawing_network.to(device).eval()
        heights = np.array([*slice_heights(phase.train).values()]) if phase.conditioned else None
        chances = phase.chances if phase.conditioned else None

        def draw(index: int) -> Pair:
            rng = np.random.default_rng(pair_seeds(self.seed, index)[1])
            noise = torch.from_numpy(task.draw_noise(rng))[None].to(device)
            condition = None
            if heights is not None:
                condition = torch.tensor([rng.choice(heights, p=chances)], dtype=noise.dtype, device=device)
            with torch.no_grad():
                pair = network(noise, condition)[0].cpu().numpy()
            return Pair(*task.code.decode(pair, self.speck))

        return draw

    def count_for(self, images: int) -> int:
        """So many that they have the pixels of the images: 16 pairs of 64 px for a slice of 256 px."""
        pixels = sum(height * width for height, width in (sample.size for sample in self.train)) / len(self.train)
        own: int = self.size**2
        return images * max(1, round(pixels / own))

    @property
    def window(self) -> int:
        """See `PairSource`."""
        return int(self.size)

    def views(self, samples: Samples) -> Callable[[int], RealView]:
        """Crops and mirror images, drawn as the training draws them: `labelled` and `focus` as there, seeded."""
        from rbc_lightning.data.augment.transforms import FLIPS, build_augmentation

        phase = replace(self.phase, train=samples.with_context() if self.context else samples)
        spec, every, n = phase.train.spec, samples.with_context().samples, len(samples)
        seed = derive_seed(self.seed, "preview")
        stream = MixStream(Mix(0, 0, n), n, 0, seed) if phase.share is None else SharedStream(phase.shows, phase.share, seed)
        flipped = build_augmentation(FLIPS, spec)

        def view(index: int) -> RealView:
            crop_seed, flip_seed = map(int, np.random.SeedSequence([seed, index]).generate_state(2))

            def cut(image: Image, label_map: LabelMap) -> tuple[Image, LabelMap]:
                crop = random_crop(image, label_map, self.window, np.random.default_rng(crop_seed), spec, self.focus)
                return flipped(*crop, flip_seed)

            return RealView(every[stream[index].index], cut)

        return view

    def batch_sizes(self) -> dict[str, int]:
        """See `PairSource`."""
        return {"pairs.batch_size": self.batch_size}

    def check_samples(self, *, one_patient: bool = False) -> None:
        """See `PairSource`."""
        self.phase.check_samples(one_patient=one_patient)
