"""Which purpose's seed decides what: keys that older runs bear, and what changes with one seed alone."""

import json

import pytest
from plain_samples import plain_manifest

from rbc_lightning.app import compose, run
from rbc_lightning.commands.experiment import Experiment
from rbc_lightning.commands.splits import read_split
from rbc_lightning.core.seeds import SEED_KEYS
from rbc_lightning.data.readers.base import Reader
from rbc_lightning.errors import InputError
from rbc_lightning.translators.given import GivenTranslator

CHOSEN = ("translator.choose=quality", "translator.candidates=1")
PIX2PIX = ("masks=real", "translator=pix2pix", "mix=rd_sd")
COPIED = ("pairs=copy_paste",)
# Of commit d1b39c3, where one seed was handed to everything.
FORMATS = {"samples": 1, "shape_bank": 4, "layout_fit": 2, "gan_stage1": 5, "pix2pix": 2, "fcn_score": 4, "quality": 1}
FORMATS |= {"translator": 3, "pairs": 1, "synthetic": 4, "train": 1}
KEYS = {
    CHOSEN: {
        "samples": "c4c5491279ced60b",
        "shape_bank": "c2808fbba9f918f8",
        "layout_fit": "a618cddf46d463ab",
        "masks": "2b3d48d6e7bab316",
        "gan_stage1": "d3092a040ddf9695",
        "fcn_score": "7b319138c5b46254",
        "quality": "933afb8082f7f693",
        "translator": "a475e50005c7a254",
        "pairs": "e9d7a83a513490c9",
        "synthetic": "769683a06c70aaed",
        "train": "31bfff4de67db295",
    },
    PIX2PIX: {
        "samples": "f55b4b53c3cc3a3f",
        "masks": "6ccb640951a81035",
        "pix2pix": "2f411e4839674308",
        "translator": "477b38823df297ce",
        "pairs": "5db5e9c9704b87ba",
        "synthetic": "39f56804617491ed",
        "train": "e8f39cab0ef698a1",
    },
    COPIED: {
        "samples": "f55b4b53c3cc3a3f",
        "pairs": "7b785b24cc4ce011",
        "synthetic": "89bf902e9fed6e9c",
        "train": "1eafbd5740e04911",
    },
}


class PlainReader(Reader):
    """Ten training samples without files."""

    def read(self, store):
        return plain_manifest()


def run_of(*overrides):
    places = ("artifacts_dir=nowhere/artifacts", "runs_dir=nowhere/runs")
    experiment = Experiment(compose(["scale=tiny", "seed=3", "trainer.precision=32-true", *places, *overrides]))
    experiment.reader = PlainReader(name="plain", n_real_images=5)
    return experiment.run()


def keys(recipe):
    return {node.kind: node.key for node in recipe.walk()}


@pytest.mark.parametrize("overrides", KEYS)
def test_what_was_made_under_one_seed_is_found_again(monkeypatch, overrides):
    then = "model.task.threshold=0.6"  # the default of that time
    for node in run_of(*overrides, then).walk():
        if node.kind in FORMATS:
            monkeypatch.setattr(type(node), "format", FORMATS[node.kind])
    recipe = run_of(*overrides, then)
    assert keys(recipe) == KEYS[overrides]
    assert recipe.name == f"plain_{recipe.mix.column}_fcn8s_seed3_{recipe.key[:8]}"


@pytest.mark.parametrize(
    ("override", "changed"),
    [
        ("data.split_seed=4", set(KEYS[CHOSEN])),
        ("masks.seed=4", {"layout_fit", "masks", "pairs", "synthetic", "train"}),
        ("translator.seed=4", {"gan_stage1", "fcn_score", "quality", "translator", "pairs", "synthetic", "train"}),
        ("synthetic.seed=4", {"pairs", "synthetic", "train"}),
        ("training.seed=4", {"train"}),
    ],
)
def test_a_purpose_of_its_own_seed_changes_what_it_decides_and_nothing_else(override, changed):
    before, after = run_of(*CHOSEN), run_of(*CHOSEN, override)
    assert {kind for kind, key in keys(before).items() if keys(after)[kind] != key} == changed
    # A run is named by the base seed, and told from others by its key.
    assert "_seed3_" in after.name
    assert after.name != before.name


def test_all_seeds_set_are_the_seed_set():
    assert keys(run_of(*CHOSEN, *(f"{key}=8" for key in SEED_KEYS.values()))) == keys(run_of(*CHOSEN, "seed=8"))
    assert keys(run_of(*CHOSEN, "seed=0", "training.seed=0")) == keys(run_of(*CHOSEN, "seed=0"))


def test_what_a_mix_does_not_use_makes_no_other_run():
    own = ("masks.seed=4", "translator.seed=5", "synthetic.seed=6")
    assert run_of("mix=rd_aug", *own).key == run_of("mix=rd_aug").key
    assert run_of("model=threshold", *own, "training.seed=7").key == run_of("model=threshold").key


def test_pairs_made_while_training_are_draws_of_the_training():
    online = ("synthetic.mode=online",)
    assert run_of(*online, "synthetic.seed=4").key == run_of(*online).key
    assert keys(run_of(*online, "training.seed=4"))["pairs"] != keys(run_of(*online))["pairs"]


@pytest.mark.parametrize(
    ("overrides", "recorded"),
    [
        (("mix=rd_sd", "masks.seed=4", "training.seed=5"), {"masks": 4, "training": 5}),
        ((*COPIED, "mix=rd_sd", "masks.seed=4", "translator.seed=4", "synthetic.seed=5"), {"synthetic": 5}),
        (("masks=real", "translator=pix2pix", "mix=rd_sd", "synthetic.mode=online", "synthetic.seed=4"), {}),
        (("mix=rd_aug", "masks.seed=4", "data.split_seed=4"), {"split": 4}),
    ],
)
def test_a_seed_that_decides_nothing_is_recorded_as_the_base_seed(overrides, recorded):
    """The same key made without it is the same run, which a table must not tell apart."""
    assert run_of(*overrides).labels.seeds.by_purpose() == dict.fromkeys(SEED_KEYS, 3) | recorded


def test_the_split_follows_its_own_seed():
    reader = PlainReader(name="plain", n_real_images=5)
    splits = {seed: read_split(reader, None, "held_out", seed).fingerprint() for seed in (3, 4)}
    assert splits[3] != splits[4]
    assert run_of("data.split_seed=4").data == run_of("seed=4").data == splits[4]


def test_stains_take_turns_by_the_seed_of_the_pairs(tmp_path, monkeypatch):
    monkeypatch.setattr("rbc_lightning.translators.given.read_description", lambda path: {"files": []})
    asked = {}
    monkeypatch.setattr("rbc_lightning.translators.base.load_translator", lambda path, context: asked.update(seed=context.seed))
    for given, kind in (("null", None), (tmp_path, GivenTranslator)):
        cfg = compose(["translator.seed=4", "synthetic.seed=5", f"artifacts_dir={tmp_path}", f"translator.path={given}"])
        experiment = Experiment(cfg)
        experiment.reader = PlainReader(name="plain")
        recipe = experiment.translator()
        assert kind is None or isinstance(recipe, kind)
        recipe.load(tmp_path, experiment.store)
        assert (asked, recipe.seed) == ({"seed": 5}, 4)


@pytest.mark.parametrize(("key", "value"), [*zip(SEED_KEYS.values(), ["-1", "true", "1.5", "abc", "null"], strict=True)])
def test_what_is_no_seed_is_refused_by_name_before_anything_is_written(tmp_path, key, value):
    text = {"true": "True", "null": "None"}.get(value, value)
    message = rf"^{key}={text}; expected an integer of at least 0: set one, or leave it out to follow seed$"
    with pytest.raises(InputError, match=message):
        run(compose(["stage=masks", f"{key}={value}", f"artifacts_dir={tmp_path}/a", f"runs_dir={tmp_path}/r"]))
    assert not list(tmp_path.iterdir())


def test_a_run_records_the_seed_of_every_purpose(made):
    (path,) = made.glob("runs/*/metrics.json")
    record = json.loads(path.read_text())
    assert (record["seed"], record["seeds"]) == (0, dict.fromkeys(SEED_KEYS, 0))
