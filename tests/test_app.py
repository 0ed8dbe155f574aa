"""The command line: help, one-line errors, and that every configuration file composes."""

import re

import pytest

from rbc_lightning.app import compose, main, run
from rbc_lightning.errors import InputError
from rbc_lightning.usage import CONF_DIR, STAGES

GROUPS = sorted(path.name for path in CONF_DIR.iterdir() if path.is_dir() and any(path.glob("*.yaml")))
CHOICES = [(group, path.stem) for group in GROUPS for path in sorted((CONF_DIR / group).glob("*.yaml"))]


@pytest.mark.parametrize(("group", "choice"), CHOICES)
def test_every_configuration_file_composes_and_says_what_it_is(group, choice):
    plus = "+" if group in ("experiment", "sweep") else ""
    root = ["data.root=somewhere"] if (group, choice) == ("data", "folder") else []
    assert compose([f"{plus}{group}={choice}", *root]).seed == 0
    first = next(line for line in (CONF_DIR / group / f"{choice}.yaml").read_text().splitlines() if "@package" not in line)
    assert re.match(r"# \S.*\w.*[.)]$", first), f"{group}/{choice}.yaml does not begin with a comment for --help"


@pytest.mark.parametrize("column", ["rd", "sd", "rd_aug", "rd_sd", "rd_sd_aug"])
def test_an_experiment_chooses_its_mix(column):
    from rbc_lightning.data.mix import Mix

    mix = compose([f"+experiment={column}"]).mix
    assert Mix.resolve(16, **mix).column == column


def test_help_lists_stages_experiments_and_groups(capsys):
    assert main(["--help"]) == 0
    text = capsys.readouterr().out
    launchers = ("basic", "joblib", "submitit_local", "submitit_slurm")
    for word in (*STAGES, *launchers, *(choice for _, choice in CHOICES)):
        assert re.search(rf"^  {word}  +\S", text, re.MULTILINE), f"{word} has no line of its own"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["+experiment=rd_sd_agu"], "Could not find 'experiment/rd_sd_agu'; Available options in 'experiment': rd; rd_aug"),
        (
            ["model=fcn9s"],
            "Could not find 'model/fcn9s'; Available options in 'model': dcan; faster_rcnn; fcn8s; global_threshold; thresh",
        ),
        (["sed=1"], "unknown key 'sed'; did you mean seed"),
        (["+sweep=table2", "model=unet", "seed=0,1", "sed=1"], "unknown key 'sed'; did you mean seed"),
        (["sampler.placment=uniform"], "unknown key 'sampler.placment'; did you mean sampler.placement"),
        (["sampler=adhesion", "sampler.placment=uniform"], "unknown key 'sampler.placment'; did you mean sampler.placement"),
        (
            ["translator=mode_seeking_pix2pix", "translator.stages=2"],
            "translator.stages is no setting of translator=mode_seeking_pix2pix; `python",
        ),
        (["translator=pix2pix", "translator.task.kernel_sise=4"], "did you mean translator.task.kernel_size"),
        (["stage=trian"], "stage=trian; expected one of train, check"),
        (["data.root=somewhere"], "write data=folder data.root=path/to/folder"),
        (["experiment=rd"], "write +experiment=NAME"),
        (
            ["data=mri", "data.root=/home/jürgen/scans (2)"],
            "data.root=/home/jürgen/scans (2) cannot be read; expected letters a to z, digits, and . / _ - alone: write "
            """'data.root="/home/jürgen/scans (2)"', in quotes twice""",
        ),
        (["data=mri", "data.channels=[FLAIR,T1w"], "data.channels=[FLAIR,T1w cannot be read; expected letters"),
        (["check"], "settings are written KEY=VALUE, such as stage=check"),
        (["seed=-1"], "seed=-1; expected an integer of at least 0"),
        (
            ["data=folder"],
            "data.root has no value; expected a folder with images/, labels/ and splits.csv: set it as data.root=...",
        ),
        (
            ["data=mri"],
            "data.root has no value; expected a folder with scans (.nii.gz), such as sub-01/ with sub-01_FLAIR.nii.gz",
        ),
        (["-m", "data=mri", "seed=0,1"], "expected a folder with scans (.nii.gz)"),
        (["data=folder", "data.root=nowhere"], "nowhere: no such directory; point data.root at a folder"),
    ],
)
def test_a_mistake_is_told_in_one_line(arguments, message, capsys, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.argv", ["rbc_lightning"])
    try:
        status = main(arguments)
    except SystemExit as exit_:
        status = exit_.code
    error = capsys.readouterr().err.strip()
    assert status == 2
    assert error.startswith("error: ")
    assert message in error
    assert "\n" not in error
    assert not list(tmp_path.rglob("*.*")), "something was written"


def test_run_needs_no_process_of_hydras(tmp_path):
    with pytest.raises(InputError, match="stage=nothing; expected one of"):
        run(compose(["stage=nothing", f"runs_dir={tmp_path}"]))
