import dataclasses
import json
import math

import numpy as np
import pytest
from matplotlib.colors import to_rgb
from PIL import Image
from rich.console import Console

from rbc_lightning.evaluation.result import Quality, QualitySamples
from rbc_lightning.report.figures.quality_card import HEAD, quality_rows, quality_table, save_quality_card, write_quality


def make_quality(**changes):
    rng = np.random.default_rng(0)

    def colors(n):
        return tuple(map(tuple, rng.uniform(100, 250, (n, 3)).round(2).tolist()))

    samples = QualitySamples(
        sample_ids=("a", "b", "c"),
        dice=(0.9, 0.95, 0.97),
        dice_real=(0.94, 0.93, 0.98),
        background=colors(6),
        cells=colors(6),
        background_real=colors(3),
        cells_real=colors(3),
        background_train=colors(8),
        cells_train=colors(8),
        nearest_cell=tuple(rng.uniform(0.3, 0.8, 40).round(4).tolist()),
        nearest_cell_real=tuple(rng.uniform(0.4, 0.9, 40).round(4).tolist()),
    )
    numbers = {field.name: 0.5 for field in dataclasses.fields(Quality)}
    return Quality(**numbers | {"n_images": 3, "n_styles": 2, "samples": samples} | changes)


def test_the_score_is_faithfulness_times_diversity():
    # Shares: 12 of 20 in colour; in texture more than real, which counts as 1.
    quality = make_quality(
        dice=0.9, color_diversity=12, color_diversity_train=20, texture_diversity=0.3, texture_diversity_real=0.2
    )
    assert quality.diversity == pytest.approx((0.6 + 1) / 2)
    assert quality.score == pytest.approx(0.9 * 0.8)


@pytest.mark.parametrize(
    ("changes", "diversity"),
    [
        ({"color_diversity": 0.1, "texture_diversity_real": math.nan}, 0.2),
        ({"texture_diversity": 0.2, "color_diversity_train": 0.0}, 0.4),
        ({"color_diversity_train": math.nan, "texture_diversity_real": math.nan}, 1.0),
    ],
)
def test_a_share_that_cannot_be_told_is_left_out(changes, diversity):
    assert make_quality(**changes).diversity == pytest.approx(diversity)


def test_json_has_null_for_what_could_not_be_measured_and_reads_back():
    quality = make_quality(kid=math.nan, dice=0.25)
    content = json.loads(quality.to_json(), parse_constant=pytest.fail)
    assert content["kid"] is None
    assert (content["dice"], content["score"], content["diversity"]) == (0.25, 0.25, 1.0)
    again = Quality.from_dict(content)
    assert math.isnan(again.kid)
    assert dataclasses.replace(again, kid=0.0) == dataclasses.replace(quality, kid=0.0)


def test_every_number_has_its_place_in_the_table():
    names = [field.name for field in dataclasses.fields(Quality) if field.name not in ("n_images", "n_styles", "samples")]
    # Every field a number of its own, so that none can stand in another's place.
    quality = make_quality(**{name: 100.0 + number for number, name in enumerate(names)})
    shown = {"".join(row[:1]): row[1:] for row in quality_rows(quality)}

    def value(name):
        return float(100 + names.index(name))

    first = {"background spread": "background_spread", "Dice": "dice", "AP@0.5": "ap50", "nearest cell, 5 %": "nearest_cell_p5"}
    for title, name in first.items():
        columns = dict(zip(HEAD[1:], shown[title], strict=True))
        assert float(columns["generated"]) == value(name)
        assert float(columns["real"]) == value(f"{name}_real")
        other, field = ("train", "train") if title == "background spread" else ("baseline", "flat")
        assert float(columns[other]) == value(f"{name}_{field}")
    assert shown["KID"][0] == f"{value('kid'):.3f} ± {value('kid_std'):.3f}"
    written = " ".join(" ".join(row) for row in quality_rows(quality))
    assert all(f"{value(name):.0f}." in written for name in names)


def test_the_table_fits_eighty_columns_and_shows_gaps():
    console = Console(width=80, record=True)
    console.print(quality_table(make_quality(kid=math.nan, kid_std=math.nan)))
    text = console.export_text()
    assert "3 held-out masks, 2 images of each" in text
    assert "- ± -" in text
    assert "…" not in text
    assert "0.500" in text.splitlines()[-1] + text.splitlines()[-2]


def test_the_picture_shows_generated_and_real(tmp_path):
    save_quality_card(tmp_path / "card.png", make_quality())
    assert [path.name for path in tmp_path.iterdir()] == ["card.png"]
    picture = np.array(Image.open(tmp_path / "card.png").convert("RGB"))
    assert picture.shape[1] > 1.5 * picture.shape[0]
    for color in ("#d55e00", "#0072b2"):
        drawn = (np.abs(picture - np.array(to_rgb(color)) * 255) < 40).all(axis=2)
        # In all four panels: left and right, above and below.
        halves = [
            drawn[rows, columns].any()
            for rows in (slice(0, 400), slice(400, None))
            for columns in (slice(0, 500), slice(560, 1000))
        ]
        assert all(halves)


def test_a_card_with_hardly_anything_to_show_is_drawn(tmp_path):
    empty = dataclasses.replace(
        make_quality().samples,
        sample_ids=("a",),
        dice=(0.5,),
        dice_real=(0.6,),
        cells_real=((math.nan, math.nan, math.nan),),
        nearest_cell=(),
        nearest_cell_real=(),
    )
    save_quality_card(tmp_path / "card.png", make_quality(samples=empty, kid=math.nan))
    assert (tmp_path / "card.png").read_bytes().startswith(b"\x89PNG")


def test_numbers_and_card_are_written_side_by_side(tmp_path):
    quality = make_quality()
    table, card = write_quality(tmp_path, quality)
    assert sorted(path.name for path in tmp_path.iterdir()) == [table.name, card.name] == ["quality.json", "quality_card.png"]
    assert Quality.from_dict(json.loads(table.read_text())) == quality


@pytest.mark.parametrize("n_channels", [1, 2])
def test_images_of_other_channels_have_a_card_too(tmp_path, n_channels):
    samples = make_quality().samples
    names = [f"{what}{suffix}" for what in ("background", "cells") for suffix in ("", "_real", "_train")]
    fewer = {name: tuple(color[:n_channels] for color in getattr(samples, name)) for name in names}
    save_quality_card(tmp_path / "card.png", make_quality(samples=dataclasses.replace(samples, **fewer)))
    assert (tmp_path / "card.png").read_bytes().startswith(b"\x89PNG")
