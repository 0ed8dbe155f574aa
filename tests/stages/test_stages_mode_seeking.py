"""The mode-seeking Pix2Pix from the data set to synthetic pairs, at `scale=tiny`, in process."""

import json

import hydra
import numpy as np
import pytest
import torch
from tiny_data import write_tiny_folder
from training_helpers import Killed, assert_same, count_steps, die_at, read_rows, weights

from rbc_lightning.app import CONF_DIR, compose, run
from rbc_lightning.data.formats import read_label_map
from rbc_lightning.data.manifest import Manifest
from rbc_lightning.errors import InputError
from rbc_lightning.masks.structures import StructureBank
from rbc_lightning.stages.inputs import load_inputs
from rbc_lightning.stages.instantiation import build
from rbc_lightning.stages.run_directory import identity
from rbc_lightning.stages.synthesize import get_synthetic
from rbc_lightning.stages.train import resolve_mix
from rbc_lightning.tasks.mode_seeking_pix2pix import ModeSeekingPix2PixTask
from rbc_lightning.tasks.structure_translator import StructureTranslator

STRUCTURED = "translator=mode_seeking_pix2pix"
QUICK = ("stage=translator", STRUCTURED, "translator.quality.enabled=false")
MADE_BY_STRUCTURE = ("pix2pix", "translator", "structure_bank", "shape_bank")


def made(directory):
    return sorted(path.parent.name for path in (directory / "artifacts").glob("*/*") if path.suffix != ".lock")


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    return tmp_path_factory.mktemp("structured")


@pytest.fixture(scope="module")
def trained(place, compose_tiny):
    return run(compose_tiny(place, *QUICK))


@pytest.fixture(scope="module")
def inputs(place, compose_tiny):
    return load_inputs(compose_tiny(place))


# --- stage=translator


def test_the_stage_leaves_a_translator_and_its_sheets(trained, place, inputs):
    assert sorted(made(place)) == sorted(MADE_BY_STRUCTURE)
    assert [path.name for path in trained.figures] == ["translations.png", "structures.png"]
    for path in trained.figures:
        assert path.read_bytes().startswith(b"\x89PNG")
    assert "translations.png, and beside it at structures.png" in trained.summary()
    assert json.loads((trained.directory / "trained_on.json").read_text()) == list(inputs.manifest.ids("train"))
    (last,) = place.glob("artifacts/pix2pix/*/checkpoints/last.ckpt")
    stored = weights(last)
    for name, tensor in StructureTranslator.load(trained.directory).generator.state_dict().items():
        assert torch.equal(tensor, stored[f"generator.{name}"])


def test_each_image_takes_two_samples_and_every_epoch_as_many_images_as_there_are(trained, place):
    (last,) = place.glob("artifacts/pix2pix/*/checkpoints/last.ckpt")
    # Two epochs of four images, two optimisers.
    assert torch.load(last, weights_only=True)["global_step"] == 16
    (curves,) = place.glob("artifacts/pix2pix/*/curves/metrics.csv")
    rows = read_rows(curves)
    assert len(rows) == 8
    assert all(float(row["train/g_mode_seeking"]) > 0 and float(row["train/distance"]) > 0 for row in rows)


def test_a_killed_training_goes_on_and_ends_as_an_undisturbed_one(trained, tmp_path, compose_tiny, monkeypatch):
    with monkeypatch.context() as patch:
        die_at(ModeSeekingPix2PixTask, patch, 6)
        with pytest.raises(Killed):
            run(compose_tiny(tmp_path, *QUICK))
    assert not (tmp_path / "artifacts" / "translator").exists() or not made(tmp_path).count("translator")
    steps = count_steps(ModeSeekingPix2PixTask, monkeypatch)
    resumed = run(compose_tiny(tmp_path, *QUICK))
    # An epoch has four steps: the first is not taken again.
    assert len(steps) == 4
    ours, theirs = (
        torch.load(next(result.directory.parents[1].glob("pix2pix/*/checkpoints/last.ckpt")), weights_only=True)
        for result in (trained, resumed)
    )
    for part in ("state_dict", "optimizer_states", "lr_schedulers", "global_step"):
        assert_same(ours[part], theirs[part])
    assert any(state["exp_avg"].any() for state in ours["optimizer_states"][0]["state"].values())
    assert_same(*(torch.load(r.directory / "structure_generator.pt", weights_only=True) for r in (trained, resumed)))
    for name in ("translations.png", "structures.png"):
        assert (trained.directory / name).read_bytes() == (resumed.directory / name).read_bytes()


def test_a_translator_of_two_processes_paints(tmp_path, compose_tiny):
    forked = ("trainer=ddp_cpu", "trainer.strategy=ddp_fork", "trainer.precision=32-true")
    with pytest.raises(InputError, match=r"translator\.batch_size=1 cannot .*: take translator\.batch_size=2"):
        run(compose_tiny(tmp_path, *QUICK, *forked))
    result = run(compose_tiny(tmp_path, *QUICK, *forked, "translator.batch_size=2"))
    (last,) = tmp_path.glob("artifacts/pix2pix/*/checkpoints/last.ckpt")
    # Two epochs of four images in batches of two, a pair for each process; two optimisers.
    assert torch.load(last, weights_only=True)["global_step"] == 8
    assert result.figure.is_file()


def test_a_chosen_checkpoint_is_the_one_with_the_best_score(tmp_path, compose_tiny):
    choice = ("translator.choose=quality", "translator.candidates=1", "translator.task.n_epochs=3")
    result = run(compose_tiny(tmp_path, "stage=translator", STRUCTURED, *choice, "trainer.precision=bf16-mixed"))
    scores = json.loads((result.directory / "checkpoints.json").read_text())
    assert len(scores) == 2
    assert list(scores)[-1] == "last"
    (training,) = (tmp_path / "artifacts" / "pix2pix").glob("*/checkpoints")
    best = max(scores, key=scores.get)
    stored = weights(training / "last.ckpt" if best == "last" else training / "candidates" / f"{best}.ckpt")
    painted = torch.load(result.directory / "structure_generator.pt", weights_only=True)["generator"]
    assert all(torch.equal(value, stored[f"generator.{name}"]) for name, value in painted.items())
    assert all(torch.isfinite(value).all() for value in painted.values())
    # One held-out image: nothing to compare, and no reason to fail after a training.
    response = json.loads((result.directory / "condition_response.json").read_text())
    assert (response["n_images"], response["collapse"], response["diversity"]) == (1, None, None)
    assert 0 < response["l1"] < 2
    assert [path.name for path in result.figures[2:]] == ["quality.json", "quality_card.png"]


# --- bad input


BAD = [
    (("translator.task.structure_method=ostu",), r"translator\.task: a structure threshold must be one of otsu, .*got 'ostu'"),
    (("translator.task.structure_method=999",), r"translator\.task: .* a grey level from 0 to 255, got 999"),
    (("translator.task.structure_method=0",), r"smear_00\.png: no structure threshold: 0 gives grey level 0, which leaves"),
    (("translator.task.size=72",), r"size must be a multiple of 16 pixels with n_downsample=4, got 72: take 64"),
    (("translator.task.kernel_size=4",), r"translator\.task: kernel_size must be odd, got 4"),
    (("translator=pix2pix", "translator.task.size=16"), r"size must be at least \d+ with these discriminator_strides, got 16"),
    (("translator.task.second=latent",), r'latent_channels must be at least 1 with second="latent"'),
    (("translator.task.n_dropout=-1",), r"n_dropout must be at least 0, got -1"),
    (("translator.batch_size=0",), r"translator\.batch_size=0; expected a whole number of at least 1"),
]


@pytest.mark.parametrize(("overrides", "message"), BAD, ids=[bad[-1] for bad, _ in BAD])
def test_a_bad_setting_is_one_line_before_anything_is_trained(tmp_path, compose_tiny, overrides, message):
    with pytest.raises(InputError, match=message) as error:
        run(compose_tiny(tmp_path, *QUICK, *overrides))
    assert "\n" not in str(error.value)
    assert made(tmp_path) == []


# --- synthetic pairs


def test_every_pair_is_made_from_the_train_split_alone(trained, tmp_path, compose_tiny, monkeypatch):
    """With the images of validation and test gone; each cell brings the structure of the cell it is a copy of."""
    root = write_tiny_folder(tmp_path / "data")
    inputs = load_inputs(compose_tiny(tmp_path, root=root))
    cfg = compose_tiny(tmp_path, "stage=synthesize", STRUCTURED, f"translator.path={trained.directory}", root=root)
    for record in (*inputs.manifest.split("val"), *inputs.manifest.split("test")):
        record.image_path.unlink()
        record.label_path.unlink()
    rendered, painted = [], []
    render, paint = StructureBank.render, StructureTranslator.paint

    def spied_render(self, mask, seed):
        rendered.append((mask.label_map, render(self, mask, seed)))
        return rendered[-1][1]

    def spied_paint(self, label_map, structure, seed):
        painted.append((label_map, structure))
        return paint(self, label_map, structure, seed)

    monkeypatch.setattr(StructureBank, "render", spied_render)
    monkeypatch.setattr(StructureTranslator, "paint", spied_paint)
    records = get_synthetic(cfg, inputs, 3)
    assert len(rendered) == len(painted) == 3
    for record, (mask, structure), (label_map, given) in zip(records, rendered, painted, strict=True):
        assert np.array_equal(read_label_map(record.label_path), mask)
        assert mask is label_map
        assert structure is given
        assert 0 < structure.mean() < 1
        # Dark cells on bright ground, as the discs of the data set are.
        assert structure[mask > 0].mean() > 0.5 > 0.2 > structure[mask == 0].mean()
        assert set(record.lineage.trained_on) == set(inputs.manifest.ids("train"))


def test_pairs_are_made_and_trained_on(trained, place, compose_tiny, capsys):
    result = run(compose_tiny(place, "+experiment=rd_sd_aug", STRUCTURED))
    assert result.metrics["mix"] == {"real": 4, "synthetic": 2, "augmented": 2, "total": 8}
    assert result.metrics["artifacts"]["translator"] == trained.directory.name
    # How quality is looked at makes no other translator.
    assert "Reused translator" in capsys.readouterr().out
    (table,) = place.glob("artifacts/synthetic/*/manifest.csv")
    assert len(Manifest.load(table).records) == 2


def test_pairs_are_painted_while_training(trained, place, compose_tiny):
    cfg = compose_tiny(place, "+experiment=rd_sd", STRUCTURED, "synthetic.mode=online")
    result = run(cfg)
    drawn = {row["sample_id"]: int(row["draws"]) for row in read_rows(result.directory / "drawn.csv")}
    assert drawn["online"] == 4
    again = run(compose_tiny(place, "+experiment=rd_sd", STRUCTURED, "synthetic.mode=online", "rerun=true"))
    assert again.metrics["test/dice"] == result.metrics["test/dice"]


def test_a_given_translator_paints_whatever_the_group_says(trained, place, compose_tiny):
    own = run(compose_tiny(place, "stage=synthesize", STRUCTURED))
    given = run(compose_tiny(place, "stage=synthesize", f"translator.path={trained.directory}"))
    # The translator counts by content: the very same pairs.
    assert given.manifest == own.manifest


def test_another_translator_is_another_run_except_for_runs_on_real_images(tmp_path, compose_tiny):
    def identities(experiment):
        choices = ("pix2pixhd", "mode_seeking_pix2pix", "mode_seeking_without_term", "pix2pix")
        cfgs = [compose_tiny(tmp_path, f"+experiment={experiment}", f"translator={choice}") for choice in choices]
        return [identity(cfg, resolve_mix(cfg, load_inputs(cfg))) for cfg in cfgs]

    real, synthetic = identities("rd"), identities("rd_sd_aug")
    assert all(one == real[0] for one in real)
    assert len({one["synthetic"] for one in synthetic}) == 4
    assert len({(one["base"], one["augment"]) for one in synthetic}) == 1


# --- the ablation


def test_the_ablation_has_the_four_variants_of_the_paper():
    with hydra.initialize_config_dir(str(CONF_DIR), version_base="1.3"):
        params = hydra.compose("config", overrides=["+sweep=mode_seeking"], return_hydra_config=True).hydra.sweeper.params
    cells = [compose(["+sweep=mode_seeking", f"translator={name}"]) for name in params.translator.split(",")]
    assert {cfg.stage for cfg in cells} == {"translator"}
    full, *others = [dict(cfg.translator.task) for cfg in cells]
    assert (full["lambda_mode_seeking"], full["lambda_l1"], full["structure"], full["conditional"]) == (10, 10, True, False)
    differences = [{key: task[key] for key in full if task[key] != full[key]} for task in others]
    assert differences == [{"lambda_mode_seeking": 0}, {"structure": False}, {"conditional": True}]
    tasks = [build(cfg.translator.task, "task", base_channels=2, discriminator_channels=2) for cfg in cells]
    assert [task.samples_per_image for task in tasks] == [2, 1, 2, 2]
    assert [task.generator.in_channels for task in tasks] == [2, 2, 1, 2]
