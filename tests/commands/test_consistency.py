import pytest

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
