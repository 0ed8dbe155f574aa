"""Finished runs that the tests of several commands read."""

import pytest
from filelock import FileLock

# A network that sees one pixel: it learns dark discs in a second, and tiles and the whole image agree to the last bit.
SMALL_NET = (
    "model.net.n_classes=1",  # what is null cannot be taken away
    "model.net._target_=torch.nn.Conv2d",
    *(f"~model.net.{name}" for name in ("n_classes", "width", "batch_norm", "dropout", "decoder_channels")),
    "model.net.in_channels=3",
    "+model.net.out_channels=1",
    "+model.net.kernel_size=1",
    "model.task.optimizer.lr=0.1",
    "training.steps=60",
    "training.steps_per_epoch=30",
)


@pytest.fixture(scope="session")
def trained(shared, compose_made):
    """Runs of two models, FCN-8s on real and on synthetic images, with their artifacts: to be read or copied."""
    from rbc_lightning.app import run

    place = shared / "trained"
    with FileLock(shared / "trained.lock"):
        segmenter = run(compose_made(place, "+experiment=rd", *SMALL_NET))
        assert segmenter.metrics["test/ap50"] > 0.9
        run(compose_made(place, "+experiment=rd_sd", "mix.total=6", *SMALL_NET))
        run(compose_made(place, "+experiment=rd", "model=faster_rcnn"))
    return place
