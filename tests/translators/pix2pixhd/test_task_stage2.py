"""Stage 2: what it takes from stage 1, the frozen trunk and its release, stored styles, and images of any size."""

import pytest
import pytorch_lightning as pl
import torch
from pix2pixhd_helpers import TINY, fit, make_sample, make_trainer
from torch.utils.data import DataLoader

from rbc_lightning.translators.pix2pixhd.instance_styles import encode_samples
from rbc_lightning.translators.pix2pixhd.styles import StyleBank
from rbc_lightning.translators.pix2pixhd.task import Pix2PixHDTask
from rbc_lightning.translators.pix2pixhd.translator import Pix2PixHDTranslator

SECOND = {"stage": 2, "n_blocks_local": 1, "discriminator_scales": 3}
STYLES = ["concat", "modulated"]


def stage_two(style="modulated", samples=(), **options):
    torch.manual_seed(0)
    first = Pix2PixHDTask(style=style, shrink=2, **TINY)
    second = Pix2PixHDTask(style=style, **(TINY | SECOND | options))
    filled = second.start_from(first)
    second.use_styles({style.sample_id: style.vectors for style in encode_samples(first, samples)})
    return first, second, filled


@pytest.mark.parametrize("style", STYLES)
def test_the_trunk_is_the_generator_of_stage_one_without_its_last_layer(style):
    first, second, filled = stage_two(style)
    last = {"concat": "model.18", "modulated": "to_image"}[style]
    assert set(filled) == {name for name in first.generator.state_dict() if not name.startswith(last)}
    ours = second.generator.state_dict()
    assert all(torch.equal(ours[name], first.generator.state_dict()[name]) for name in filled)
    encoders = (task.encoder.state_dict() for task in (first, second))
    assert all(torch.equal(a, b) for a, b in zip(*(e.values() for e in encoders), strict=True))
    # The two discriminators keep the size they were trained at; a third one joins at the new full size.
    discriminators = [task.adversary.discriminator.state_dict() for task in (first, second)]
    assert all(torch.equal(discriminators[1][name], value) for name, value in discriminators[0].items())
    assert {name.split("_")[0] for name in discriminators[1].keys() - discriminators[0].keys()} == {"scale2"}


class Trunk(pl.Callback):
    """After every step: has the trunk moved, what does Adam remember of one of the enhancer's weights, was E touched?"""

    def __init__(self, trunk, enhancer):
        self.trunk, self.enhancer = trunk, enhancer
        self.seen = []

    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
        weights = dict(pl_module.generator.named_parameters())
        state = trainer.optimizers[0].state
        self.seen.append(
            {
                "trunk": weights[self.trunk].detach().clone(),
                "trunk_steps": int(state[weights[self.trunk]]["step"]) if weights[self.trunk] in state else 0,
                "enhancer_steps": int(state[weights[self.enhancer]]["step"]),
                "encoder": next(pl_module.encoder.parameters()).detach().clone(),
            }
        )


@pytest.mark.parametrize(
    ("style", "trunk", "enhancer"),
    [("concat", "model.1.weight", "model1_1.1.weight"), ("modulated", "stem.weight", "local_entry.weight")],
)
def test_the_trunk_rests_for_its_epochs_and_its_release_keeps_the_moments_of_the_rest(style, trunk, enhancer):
    samples = [make_sample(i, 40, 36) for i in range(2)]  # no multiple of 8: padded inside
    first, second, _ = stage_two(style, samples, n_epochs=2, n_epochs_decay=1, n_epochs_fix_global=2)
    watch = Trunk(trunk, enhancer)
    make_trainer(max_epochs=3, callbacks=[watch]).fit(second, DataLoader(samples))
    start = dict(first.generator.named_parameters())[trunk]
    assert [torch.equal(step["trunk"], start) for step in watch.seen] == [True] * 4 + [False] * 2
    assert [step["trunk_steps"] for step in watch.seen] == [0, 0, 0, 0, 1, 2]
    assert [step["enhancer_steps"] for step in watch.seen] == [1, 2, 3, 4, 5, 6]
    assert all(torch.equal(step["encoder"], watch.seen[0]["encoder"]) for step in watch.seen)


@pytest.mark.parametrize("style", STYLES)
def test_stage_two_generates_with_the_styles_of_stage_one(style):
    samples = [make_sample(i) for i in range(2)]
    first, second, _ = stage_two(style, samples)
    fit(second, samples)
    bank = StyleBank.fit(first, samples)
    translator = Pix2PixHDTranslator.from_task(second, bank)
    image = translator.paint(samples[0]["label_map"].numpy()[:30, :27], 3)
    assert image.shape == (30, 27, 3)
    with pytest.raises(ValueError, match="another encoder"):
        Pix2PixHDTranslator.from_task(Pix2PixHDTask(style=style, **TINY), bank)


def test_stage_two_needs_the_styles_of_every_sample():
    _, second, _ = stage_two(samples=[make_sample(0)])
    with pytest.raises(ValueError, match="no stored styles for s1: call use_styles"):
        fit(second, [make_sample(1)])


def test_stage_one_of_other_widths_is_refused_tensor_by_tensor():
    first = Pix2PixHDTask(**(TINY | {"base_channels": 6}))
    second = Pix2PixHDTask(**(TINY | SECOND))
    with pytest.raises(ValueError, match=r"stem.weight: expected shape \(16, 10, 3, 3\), got \(24, 10, 3, 3\)"):
        second.start_from(first)
    with pytest.raises(ValueError, match="stage 2 starts from stage 1, got 1 from 1"):
        first.start_from(first)


@pytest.mark.parametrize("options", [{"channels_last": True}, {"checkpoint_activations": True}, {"compile": True}])
@pytest.mark.parametrize("style", STYLES)
def test_options_for_speed_and_memory_change_no_gradient(style, options, monkeypatch):
    compiled = []
    monkeypatch.setattr(torch, "compile", lambda module: compiled.append(module) or module)
    gradients = []
    for extra in ({}, options):
        torch.manual_seed(0)
        task = Pix2PixHDTask(style=style, **TINY, **extra)
        style_map = torch.rand(1, task.settings.style_channels, 32, 32)
        task(torch.rand(1, 3, 32, 32), style_map, torch.tensor([5])).square().sum().backward()
        gradients.append({name: p.grad for name, p in task.generator.named_parameters()})
    assert len(compiled) == ("compile" in options)
    assert gradients[0].keys() == gradients[1].keys()
    largest = max(float(gradient.abs().max()) for gradient in gradients[0].values())
    for name, expected in gradients[0].items():
        torch.testing.assert_close(gradients[1][name], expected, rtol=1e-3, atol=1e-5 * largest)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"stage": 3}, "stage must be 1 or 2, got 3"),
        ({"stage": 2, "shrink": 2.0}, "shrink must be 1 in stage 2"),
        ({"stage": 2, "base_channels": 5}, "base_channels must be even"),
        ({"shrink": 0.5}, "shrink must be at least 1.0, got 0.5"),
        ({"n_epochs_fix_global": -1}, "n_epochs_fix_global must be at least 0, got -1"),
        ({"pool_size": -1}, "image pool must be at least 0, got -1"),
        ({"diff_augment": "blur"}, "unknown augmentation 'blur'"),
    ],
)
def test_bad_arguments_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        Pix2PixHDTask(**options)
