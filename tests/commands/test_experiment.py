from collections import Counter

import pytest
from tiny_data import write_tiny_folder
from volume_samples import write_scans

from rbc_lightning.app import compose, run
from rbc_lightning.commands.experiment import Experiment
from rbc_lightning.errors import InputError


def test_a_model_that_cannot_be_built_leaves_no_run_directory(tmp_path, compose_tiny):
    with pytest.raises(Exception, match="width"):
        run(compose_tiny(tmp_path, "+experiment=rd", "model.net.width=-1"))
    assert not list(tmp_path.glob("runs/*/*"))


def test_moving_a_sample_to_another_split_is_another_experiment(own_folder, tmp_path, compose_tiny):
    before = Experiment(compose_tiny(tmp_path, root=own_folder)).manifest.fingerprint()
    table = own_folder / "splits.csv"
    table.write_text(table.read_text().replace("smear_05,test", "smear_05,train").replace("smear_00,train", "smear_00,test"))
    assert Experiment(compose_tiny(tmp_path, root=own_folder)).manifest.fingerprint() != before


def test_the_same_image_in_train_and_test_is_refused(own_folder, tmp_path, compose_tiny):
    (own_folder / "images" / "smear_05.png").write_bytes((own_folder / "images" / "smear_00.png").read_bytes())
    with pytest.raises(InputError, match=r"'smear_00' \(train\) and 'smear_05' \(test\) are the same image"):
        _ = Experiment(compose_tiny(tmp_path, root=own_folder)).manifest


def test_what_an_older_layout_made_is_named_not_used_and_kept(tmp_path, compose_tiny, capsys):
    old = tmp_path / "artifacts" / "shape_bank" / "0123456789abcdef"
    old.mkdir(parents=True)
    (old / "lineage.json").write_text('{"kind": "shape_bank", "settings": {"format": 2}, "inputs": []}')
    for count in (1, 2):
        run(compose_tiny(tmp_path, "stage=masks", f"synthetic.count={count}"))
    said = [line for line in capsys.readouterr().out.splitlines() if "older layout" in line]
    assert len(said) == 1
    assert said[0].startswith("note: 1 directories in ")
    assert "(such as shape_bank/0123456789abcdef): they are not used and stay where they are" in said[0]
    assert old.is_dir()
    assert len([path for path in old.parent.iterdir() if path.is_dir()]) == 2


LARGE = ("rd_aug", "rd_sd", "rd_sd_aug", "rd_large", "sd_large")


def test_more_images_than_the_scale_foresees_make_the_large_mixes_of_all_columns_larger(tmp_path, compose_tiny):
    root = write_tiny_folder(tmp_path / "data", n_train=15)
    more = ("data.validation_fraction=0.1",)
    mixes = {name: Experiment(compose_tiny(tmp_path, f"mix={name}", *more, root=root)).mix() for name in (*LARGE, "rd", "sd")}
    # 13 are trained on, 2 validate: 1.5 x 13 and more.
    assert [mixes[name].total for name in LARGE] == [20] * len(LARGE)
    assert [mixes[name].total for name in ("rd", "sd")] == [13, 13]
    assert {name: mix.column for name, mix in mixes.items()} == {name: name for name in mixes}


def test_a_total_given_by_hand_is_taken_as_given(tmp_path, compose_tiny):
    assert Experiment(compose_tiny(tmp_path, "mix=rd_sd", "mix.total=5")).mix().total == 5
    assert Experiment(compose_tiny(tmp_path, "mix=rd_sd", "scale.large_per_real=5")).mix().total == 20
    assert Experiment(compose_tiny(tmp_path, "mix=rd_sd", "scale.large=30")).mix().total == 30


@pytest.mark.parametrize(("override", "message"), [("scale.large=0", "scale.large=0"), ("scale.large_per_real=1", "above 1")])
def test_sizes_of_large_mixes_are_checked(tmp_path, compose_tiny, override, message):
    with pytest.raises(InputError, match=message):
        Experiment(compose_tiny(tmp_path, "mix=rd_sd", override)).mix()


@pytest.mark.parametrize("protocol", ["held_out", "paper"])
@pytest.mark.parametrize(("scale", "total"), [("tiny", 8), ("demo", 160), ("paper", 960)])
def test_the_phantom_keeps_its_sizes(scale, total, protocol):
    experiment = Experiment(compose([f"scale={scale}", f"protocol={protocol}", "mix=rd_sd"]))
    n_train = experiment.cfg.data.n_train
    experiment.train = range(n_train if protocol == "paper" else n_train - round(0.2 * n_train))
    assert experiment.mix().total == total


def test_each_fold_is_an_experiment_of_its_own_from_the_shape_bank_on(tmp_path, compose_tiny):
    runs = [Experiment(compose_tiny(tmp_path, "mix=rd_sd", "data.folds=3", f"data.fold={fold}")).run() for fold in range(3)]
    given = Experiment(compose_tiny(tmp_path, "mix=rd_sd")).run()
    for kind in ("samples", "shape_bank", "translator", "synthetic", "train"):
        assert len({node.key for run in runs for node in run.walk() if node.kind == kind}) == 3
    assert [run.name.rsplit("_", 1)[0] for run in runs] == [f"folder_rd_sd_fcn8s_seed0_fold{fold}" for fold in range(3)]
    tested = [name for run in runs for name in run.manifest.ids("test")]
    assert sorted(tested) == sorted(sample.sample_id for sample in given.manifest.samples)


def test_all_seeds_share_the_partition(tmp_path, compose_tiny):
    folds = ("data.folds=3", "data.fold=1")
    first, other = (Experiment(compose_tiny(tmp_path, *folds, f"seed={seed}")).manifest for seed in (0, 1))
    assert first.ids("test") == other.ids("test")
    assert first.ids("val") != other.ids("val")
    moved = Experiment(compose_tiny(tmp_path, *folds, "data.fold_seed=4")).manifest
    assert moved.ids("test") != first.ids("test")


def test_a_synthetic_set_of_another_fold_is_refused(tmp_path, compose_tiny):
    folds, chosen = ("pairs=copy_paste", "data.folds=3", "synthetic.count=5"), "mix=rd_sd"
    run(compose_tiny(tmp_path, "stage=synthesize", *folds, "data.fold=0"))
    (made,) = (tmp_path / "artifacts" / "synthetic").glob("*/manifest.csv")
    given = (*folds, chosen, "mix.total=7", f"synthetic.path={made.parent}")
    with pytest.raises(
        InputError, match=r"synthetic sample .* descends from sample 'smear_0.', which is in the (test|val) split"
    ):
        run(compose_tiny(tmp_path, *given, "data.fold=1"))


def test_a_folder_without_a_test_split_names_folds(own_folder, tmp_path, compose_tiny):
    table = own_folder / "splits.csv"
    table.write_text(table.read_text().replace(",test,", ",train,"))
    with pytest.raises(InputError, match=r"folder has no test split; expected one, or folds: set data.folds=5 data.fold=0"):
        _ = Experiment(compose_tiny(tmp_path, root=own_folder)).manifest
    assert len(Experiment(compose_tiny(tmp_path, "data.folds=7", "data.fold=6", root=own_folder)).manifest.ids("test")) == 1


def test_training_slices_are_narrowed_once_validation_is_cut(tmp_path):
    places = (
        f"artifacts_dir={tmp_path}/artifacts",
        f"runs_dir={tmp_path}/runs",
        "scale=tiny",
        "data.side=40",
        "data.spacing=null",
    )
    root = write_scans(tmp_path / "scans")
    experiment = Experiment(compose(["data=mri", f"data.root={root}", "data.slices_per_patient=2", *places]))
    counts = Counter((sample.split, sample.group) for sample in experiment.manifest.samples)
    assert sorted(count for (split, _), count in counts.items() if split == "train") == [2, 2]
    assert all(count % 6 == 0 for (split, _), count in counts.items() if split != "train")
    assert len({split for split, _ in counts}) == 4


def test_equal_epochs_are_so_many_passes_over_each_mix_and_say_so(tmp_path, compose_tiny):
    def run_of(*overrides):
        return Experiment(compose_tiny(tmp_path, *overrides)).run()

    small, large = (run_of(f"+experiment={name}", "training.epochs=3") for name in ("rd", "rd_aug"))
    for recipe in (small, large):
        passes = recipe.mix.total / recipe.training.batch_size
        assert recipe.training.steps == 3 * recipe.training.steps_per_epoch == 3 * -(-passes // 1)
    assert large.training.steps > small.training.steps
    # Comparable in one table, which marks them; apart from runs of as many steps.
    assert small.parts()["base"] == large.parts()["base"] != run_of("+experiment=rd").parts()["base"]
    steps = (f"training.steps={small.training.steps}", f"training.steps_per_epoch={small.training.steps_per_epoch}")
    assert small.key != run_of("+experiment=rd", *steps).key
    with pytest.raises(InputError, match=r"training\.epochs=0; expected a whole number of at least 1"):
        run_of("+experiment=rd", "training.epochs=0")


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (("data.folds=30", "data.fold=0"), r"data.folds=30 of 5 groups .*expected at most 5: lower data.folds"),
        (("data.n_train=2", "data.n_test=1", "data.folds=2", "data.fold=0"), "the train split has 1 group of 3"),
    ],
)
def test_folds_that_patients_do_not_give_are_refused_before_a_scan_is_drawn_or_prepared(tmp_path, overrides, message):
    places = (f"artifacts_dir={tmp_path}/artifacts", f"runs_dir={tmp_path}/runs")
    with pytest.raises(InputError, match=message):
        run(compose(["data=mri_phantom", "scale=tiny", *places, *overrides]))
    assert not list(tmp_path.iterdir())


def test_a_mix_has_as_many_drawn_crops_as_have_the_pixels_of_its_images(tmp_path, compose_tiny):
    experiment = Experiment(compose_tiny(tmp_path, "pairs=wgan", "mix=sd", "training.crop=32", "training.seed=1"))
    pixels = sum(height * width for height, width in (sample.size for sample in experiment.train))
    made = experiment.run().synthetic
    assert made.count == len(experiment.train) * round(pixels / len(experiment.train) / 32**2) > 2 * len(experiment.train)
    assert experiment.synthetic_set(5).count == 5
    pasted = Experiment(compose_tiny(tmp_path, "pairs=copy_paste", "mix=sd", "training.crop=32"))
    assert pasted.run().synthetic.count == len(pasted.train)
