"""Pair GANs through the command line's stages at `scale=tiny`, in process."""

import json

import pytest
from training_helpers import read_rows

from rbc_lightning.app import run
from rbc_lightning.commands.experiment import Experiment
from rbc_lightning.core.label_files import read_label_map
from rbc_lightning.data.formats import read_image
from rbc_lightning.errors import InputError

SMALL = ("training.crop=32", "model.net.width=0.03125")


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    return tmp_path_factory.mktemp("pair_gan")


@pytest.fixture(scope="module")
def made(place, compose_tiny):
    return run(compose_tiny(place, "+experiment=rd_sd", "pairs=wgan_gp", *SMALL))


def test_pairs_are_made_and_trained_on(made, place):
    assert made.metrics["mix"] == {"real": 4, "synthetic": 4, "augmented": 0, "total": 8}
    (table,) = place.glob("artifacts/synthetic/*/manifest.csv")
    rows = read_rows(table)
    # Each image has the pixels of twelve crops.
    assert len(rows) == 4 * 12
    image = read_image(table.parent / rows[0]["image_path"])
    assert image.shape == (32, 32, 3)
    assert read_label_map(table.parent / rows[0]["label_path"]).shape == (32, 32)
    (last,) = place.glob("artifacts/pair_gan/*/checkpoints/last.ckpt")
    assert {row["translator_hash"] for row in rows} == {last.parents[1].name}
    (ancestors,) = json.loads(table.with_suffix(".descent.json").read_text()).values()
    # One of the five training images of the data set is validation.
    assert len(ancestors) == 4
    assert not list(place.glob("artifacts/translator")), "no translator was needed"


def test_synthesis_that_was_killed_goes_on_with_the_same_pairs(made, place, compose_tiny, tmp_path):
    (table,) = place.glob("artifacts/synthetic/*/manifest.csv")
    kept = sorted((table.parent / "images").glob("*.png"))
    before = [path.read_bytes() for path in kept]
    for path in kept[2:]:
        path.unlink()
    table.unlink()
    result = run(compose_tiny(place, "stage=synthesize", "pairs=wgan_gp", f"synthetic.count={len(kept) + 1}", *SMALL))
    assert result.count == len(kept) + 1
    assert result.figure.is_file()
    assert [path.read_bytes() for path in kept] == before


@pytest.mark.parametrize("name", ["dcgan", "dcgan_gp", "wgan", "wgan_gp"])
def test_each_is_another_run_but_the_seeds_of_others_decide_nothing(name, compose_tiny, tmp_path):
    experiment = Experiment(compose_tiny(tmp_path, "+experiment=rd_sd", f"pairs={name}", *SMALL))
    recipe = experiment.run()
    other = Experiment(compose_tiny(tmp_path, "+experiment=rd_sd", f"pairs={name}", "masks.seed=5", *SMALL)).run()
    assert other.key == recipe.key
    assert other.labels.seeds.masks == 0
    assert f"pairs={name}" in experiment.command
    kinds = [node.kind for node in recipe.walk()]
    assert "pair_gan" in kinds
    assert "translator" not in kinds


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["synthetic.mode=online"], r"synthetic\.mode=online cannot make the pairs of GanPairs; take synthetic\.mode=offline"),
        (["training.crop=50"], r"pairs\.task: size must be 4 to 16 times 8, 16, .*got 50"),
        (
            ["pairs.task.size=32"],
            r"pairs\.task\.size=32 px, while segmenters are trained on crops of 64 .*take training\.crop=32",
        ),
        (["training.crop=null"], r"pairs\.task\.size=None; expected a whole number .*training\.crop"),
        (
            ["training.crop=104"],
            r"pairs\.task\.size=104 px, and 'smear_00' has 96 x 128; expected images of at least that size",
        ),
        (["data.n_real_images=1"], "all 1 training images are of one patient or slide"),
        (["trainer=ddp_cpu", "pairs.batch_size=3"], r"pairs\.batch_size=3 cannot be shared out equally among 2 processes"),
        (["pairs.task.objective=hinge"], "objective must be one of log, wasserstein, got 'hinge'"),
        (["pairs.task.optimizer.betas=[2,0]"], r"pairs\.task\.optimizer: Invalid beta parameter"),
    ],
)
def test_bad_input_is_one_line_before_anything_is_written(overrides, message, compose_tiny, tmp_path):
    with pytest.raises(InputError, match=message) as error:
        run(compose_tiny(tmp_path, "+experiment=rd_sd", "pairs=wgan_gp", *overrides))
    assert "\n" not in str(error.value)
    assert not list(tmp_path.rglob("*.ckpt"))
    assert not [path for path in tmp_path.rglob("*") if path.is_file() and path.suffix not in (".lock", ".json")]


def test_the_translators_batch_matters_only_where_one_is_trained(compose_tiny, tmp_path):
    Experiment(compose_tiny(tmp_path, "trainer=ddp_cpu", "+experiment=rd_sd", "pairs=wgan_gp"))
    with pytest.raises(InputError, match=r"translator\.batch_size=1 cannot"):
        Experiment(compose_tiny(tmp_path, "trainer=ddp_cpu", "stage=translator", "pairs=wgan_gp"))
