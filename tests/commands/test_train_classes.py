"""`stage=train` and `stage=report` on scans: a row for each, patients as groups, a floor, slices in the gallery."""

import re

import pytest
from training_helpers import read_rows
from volume_samples import write_scan, write_scans

from rbc_lightning.app import run
from rbc_lightning.commands.experiment import Experiment
from rbc_lightning.errors import InputError


@pytest.mark.parametrize("targets", ["[lesion]", "null"])
def test_scans_are_trained_on_tested_and_reported(tmp_path, compose_tiny, targets, capsys):
    folder = write_scans(tmp_path / "scans")
    data = ["data=mri", f"data.root={folder}", f"data.targets={targets}", "data.side=40", "data.spacing=null"]

    def composed(*overrides):
        return compose_tiny(tmp_path, *data, *overrides, root=folder)

    result = run(composed("+experiment=rd", "model=unet_novoselov", "training.crop=32", "floor=global_threshold"))
    rows = read_rows(result.directory / "per_image.csv")
    assert [(row["sample_id"], row["group"]) for row in rows] == [("sub-05", "p5"), ("sub-06", "p6")]
    assert result.metrics["headline"] == ("test/dice" if targets == "[lesion]" else "test/mean_dice")
    assert len(list((tmp_path / "runs").glob("mri_without_training_global_threshold*"))) == 1
    assert "2 test scans, 4 steps" in capsys.readouterr().out
    report = run(composed("stage=report"))
    page = (report.directory / "report.html").read_text()
    assert "Dice on validation scans" in page.replace("mean Dice", "Dice")
    assert "external, another scanner or source (1 scan)" in page
    assert 'data-one="slice"' in page
    assert ("found, but not there" in page) == (targets == "[lesion]")
    assert "no true cell" not in page
    assert not re.search(r"\btest images?\b|validation images?|[Pp]revious image|Image alone", page.partition("<script>")[0])
    out = capsys.readouterr().out
    assert "Segmenting slices with unet_novoselov" in out
    assert "gallery" not in "\n".join(line for line in out.splitlines() if line.startswith("not in"))
    assert "doi:10.60797/IRJ.2024.143.158" in page
    assert page.count("data-id=") == 6  # three slices of each scan


@pytest.mark.parametrize("stage", ["masks", "synthesize"])
def test_coco_of_classes_is_refused(tmp_path, compose_tiny, stage):
    folder = write_scans(tmp_path / "scans")
    cfg = compose_tiny(tmp_path, "data=mri", f"data.root={folder}", f"stage={stage}", "synthetic.coco=true", root=folder)
    with pytest.raises(InputError, match=r"synthetic\.coco=true on mri, whose label maps hold classes \(lesion\) .*coco=false"):
        run(cfg)
    assert {path.name for path in (tmp_path / "artifacts").iterdir() if path.is_dir()} == {"volumes"}


def test_what_is_held_out_decides_nothing_of_generator_and_pairs(tmp_path, compose_tiny):
    folder = write_scans(tmp_path / "scans")

    def keys():
        data = ("data=mri", f"data.root={folder}", "data.side=40", "data.spacing=null")
        experiment = Experiment(compose_tiny(tmp_path, *data, "+experiment=rd_sd_aug", root=folder))
        assert {sample.volume for sample in experiment.translator().train.samples} == {"sub-01", "sub-04"}
        return experiment.translator().key, experiment.synthetic_set(2).key, experiment.run().key

    before = keys()
    for index, name in enumerate(("sub-05", "sub-06", "sub-07")):
        write_scan(folder, name, 100 + index)
    after = keys()
    assert after[:2] == before[:2]
    assert after[2] != before[2]
