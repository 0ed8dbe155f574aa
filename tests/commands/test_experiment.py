import pytest
from tiny_data import write_tiny_folder

from rbc_lightning.app import compose, run
from rbc_lightning.commands.experiment import Experiment
from rbc_lightning.errors import InputError


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("training.steps=0", r"training\.steps=0; expected a whole number of at least 1"),
        ("training.steps=abc", r"training\.steps=abc; expected a whole number"),
        ("training.steps=75", r"training\.steps=75 is no multiple of training\.steps_per_epoch=50"),
        ("training.crop=0", r"training\.crop=0; expected a whole number of at least 32"),
        ("training.batch_size=2.5", r"training\.batch_size=2\.5; expected"),
        ("synthetic.count=0", r"synthetic\.count=0; expected a whole number of at least 1"),
        ("synthetic.style=foo", r"synthetic\.style=foo; expected per_image, per_cell, cluster"),
        ("synthetic.mode=live", r"synthetic\.mode=live; expected one of offline, online"),
        ("translator.batch_size=0", r"translator\.batch_size=0; expected"),
        ("trainer.devices=2", r"translator\.batch_size=1 cannot be shared out equally among 2 processes"),
        ("trainer.accelerator=tpu", r"trainer\.accelerator=tpu; expected one of cpu, gpu"),
        ("trainer.num_workers=-1", r"trainer\.num_workers=-1; expected a whole number of at least 0"),
        ("sampler.count_mean=50", r"sampler\.count_mean=50 is a value that the fitted sampler chooses itself"),
        ("sampler.placement=random", r"sampler\.placement=random; expected one of adhesion, uniform"),
        ("+logger.kind=paper", r"logger\.kind=paper is no setting of CsvTracking"),
        ("+trainer.gradient_clip_val=1", r"trainer\.gradient_clip_val=1 is no setting of TrainerSettings; it has accelerator"),
        ("+sampler.jitter=1", r"jitter"),
        ("+model.task.momentum=1", r"model\.task\.momentum=1 is no setting of SegmentationTask"),
        ("+data.split=1", r"data\.split=1 is no setting of PhantomReader"),
        ("+augment.p=1", r"augment\.p=1 is no setting of TrainingAugmentation"),
        ("data.n_train=0", r"data\.n_train=0; expected a whole number of at least 2"),
        ("data.height=10", r"data\.height=10; expected a whole number of at least 64"),
    ],
)
def test_a_setting_out_of_its_range_is_named_before_anything_is_made(override, message, tmp_path):
    with pytest.raises(InputError, match=message):
        run(compose([override, f"artifacts_dir={tmp_path}/artifacts", f"runs_dir={tmp_path}/runs"]))
    assert not list(tmp_path.iterdir())


def test_whole_images_and_online_pairs_are_fine():
    Experiment(compose(["training.crop=null", "synthetic.mode=online", "synthetic.style=cluster:3"]))


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("sampler.count_mean=-3", "sampler: .*-3"),
        ("sampler.cell_size=0", "sampler: .*0"),
        ("sampler.n_colors=300", "sampler: .*300"),
        ("sampler.height=64", "sampler: "),
        ("sampler.max_overlap=0.99", "sampler: .*0.99"),
    ],
)
def test_what_the_sampler_refuses_is_blamed_on_its_settings(override, message, tmp_path, compose_tiny):
    overrides = ["stage=masks", "sampler=adhesion", override]
    if "height" in override:
        overrides = [*overrides[:2], "sampler.height=12", "sampler.width=12"]
    with pytest.raises(InputError, match=message + r".*check the settings sampler\.\*"):
        run(compose_tiny(tmp_path, *overrides))


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
