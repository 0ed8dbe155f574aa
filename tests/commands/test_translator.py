"""What a user may get wrong about the translator, told before anything is trained; the choice among checkpoints."""

import json

import pytest
import torch
from PIL import Image
from tiny_data import write_tiny_folder

from rbc_lightning.app import main, run
from rbc_lightning.commands.experiment import Experiment
from rbc_lightning.data.lineage import Ancestor, to_rows
from rbc_lightning.errors import InputError
from rbc_lightning.translators.pix2pixhd.phases import fitting_crop

QUICK = ("stage=translator", "translator.quality.enabled=false")


def made(directory):
    return sorted(path.name for path in (directory / "artifacts").glob("*/*") if path.suffix != ".lock")


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (("translator.task.perceptual=gone.pth",), r"translator\.task: .*gone\.pth"),
        (("translator.stages=2", "translator.shrink=0.5"), r"translator\.task: shrink must be at least 1\.0, got 0\.5"),
        (("translator.stages=2", "+translator.stage2.n_downsample=1"), r"translator\.stage2: these weights do not fit"),
        (("translator.stages=2", "translator.stage2.n_blocks_local=-1"), r"n_blocks_local must be an integer of at least 0"),
        (("translator.stages=2", "translator.task.base_channels=5"), r"base_channels must be even"),
        (("translator.task.diff_augment=blur",), r"translator\.task: unknown augmentation 'blur'"),
        (("translator.stages=3",), r"translator\.stages=3; expected one of 1, 2"),
        (("synthetic.style=cluster:77",), r"synthetic\.style=cluster:77; expected one of cluster:0 to cluster:9"),
        (
            ("translator.quality.enabled=true", "translator.quality.steps=3"),
            r"translator\.quality\.steps=3 is no multiple of training\.steps_per_epoch=2",
        ),
    ],
)
def test_a_bad_setting_is_one_line_before_anything_is_trained(tmp_path, compose_tiny, overrides, message):
    with pytest.raises(InputError, match=message):
        run(compose_tiny(tmp_path, *QUICK, *overrides))
    assert made(tmp_path) == []


def test_imagenet_weights_without_a_network_are_one_line_on_the_command_line(tmp_path, tiny_folder, monkeypatch, capsys):
    def offline(*_args, **_kwargs):
        raise OSError("no network")

    monkeypatch.setattr(torch.hub, "download_url_to_file", offline)
    monkeypatch.setattr(torch.hub, "_hub_dir", None)
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "hub"))
    base = ["scale=tiny", "data=folder", f"data.root={tiny_folder}", f"artifacts_dir={tmp_path}/artifacts"]
    with pytest.raises(SystemExit) as ended:
        main([*base, f"runs_dir={tmp_path}/runs", *QUICK, "translator.task.perceptual=imagenet"])
    lines = capsys.readouterr().err.strip().splitlines()
    assert ended.value.code == 2
    assert len(lines) == 1
    assert lines[0].startswith("error: translator.task: ")
    assert "local" in lines[0]
    assert made(tmp_path) == []


def test_whole_images_of_several_sizes_cannot_share_a_batch(tmp_path, compose_tiny):
    root = write_tiny_folder(tmp_path / "data")
    for kind in ("images", "labels"):
        for path in sorted((root / kind).glob("*.png"))[:2]:
            Image.open(path).crop((0, 0, 100, 90)).save(path)
    whole = ("translator.crop=null", "translator.batch_size=2")
    with pytest.raises(InputError, match=r"2 sizes, such as 100 x 90 and 128 x 96: whole ones cannot share a batch"):
        run(compose_tiny(tmp_path, *QUICK, *whole, root=root))
    assert made(tmp_path) == []
    samples = Experiment(compose_tiny(tmp_path, root=root)).train
    assert (fitting_crop(samples, 200), fitting_crop(samples, 64), fitting_crop(samples, None)) == (90, 64, None)


def test_a_chosen_checkpoint_is_the_one_with_the_best_score(tmp_path, compose_tiny):
    choice = ("translator.choose=quality", "translator.candidates=1", "translator.task.n_epochs=3")
    cfg = compose_tiny(tmp_path, *QUICK, *choice)
    result = run(cfg)
    scores = json.loads((result.directory / "checkpoints.json").read_text())
    assert list(scores)[-1] == "last"
    assert len(scores) == 2
    (gan,) = (tmp_path / "artifacts" / "gan_stage1").glob("*/checkpoints")
    best = max(scores, key=scores.get)
    path = gan / "last.ckpt" if best == "last" else gan / "candidates" / f"{best}.ckpt"
    weights = torch.load(path, weights_only=True)["state_dict"]
    kept = torch.load(result.directory / "generator.pt", weights_only=True)["generator"]
    assert all(torch.equal(value, weights[f"generator.{name}"]) for name, value in kept.items())
    # Other styles are another choice.
    before = made(tmp_path)
    run(compose_tiny(tmp_path, *QUICK, *choice, "synthetic.style=per_cell"))
    assert len(set(made(tmp_path)) - set(before)) == 1
    # Held-out pairs had a say: a split that tests on one of them refuses the translator.
    test = Experiment(cfg).manifest.split("test")
    (result.directory / "chosen_on.json").write_text(json.dumps({"val": to_rows(map(Ancestor.of, test))}))
    with pytest.raises(InputError, match="was chosen on sample 'smear_05', which is in the test split here"):
        run(compose_tiny(tmp_path, *QUICK, f"translator.path={result.directory}"))
