"""Structure maps of the data set: thresholds, the bank, and what stage=check shows of them."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image

from rbc_lightning.app import run
from rbc_lightning.data.formats import read_image, read_label_map
from rbc_lightning.errors import InputError
from rbc_lightning.masks.structures import StructureBank
from rbc_lightning.ops.structure_maps import structure_map, structure_threshold
from rbc_lightning.stages import check
from rbc_lightning.stages.inputs import load_inputs
from rbc_lightning.stages.painting.painters import StructurePainter
from rbc_lightning.stages.painting.structures import get_structure_bank, thresholds
from rbc_lightning.stages.sampling import build_sampler, shape_bank

STRUCTURED = "translator=mode_seeking_pix2pix"
QUICK = ("stage=translator", STRUCTURED, "translator.quality.enabled=false")


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    return tmp_path_factory.mktemp("structures")


@pytest.fixture(scope="module")
def inputs(place, compose_tiny):
    return load_inputs(compose_tiny(place))


def made(directory):
    return [path for path in (directory / "artifacts").glob("*/*") if path.suffix != ".lock"]


def blank(root, number):
    path = root / "images" / f"smear_0{number}.png"
    Image.new("RGB", Image.open(path).size, (200, 200, 200)).save(path)


def test_an_image_of_one_colour_is_named_before_anything_is_trained(tmp_path, own_folder, compose_tiny):
    blank(own_folder, 0)
    message = r"smear_00\.png: no structure threshold: all \d+ pixels of the image have grey level 200, .*structure_method=otsu"
    with pytest.raises(InputError, match=message) as error:
        run(compose_tiny(tmp_path, *QUICK, root=own_folder))
    assert "\n" not in str(error.value)
    assert made(tmp_path) == []
    with pytest.raises(InputError, match=message):
        run(compose_tiny(tmp_path, "stage=check", STRUCTURED, root=own_folder))
    without = compose_tiny(tmp_path, "stage=check", "translator=mode_seeking_without_structure", root=own_folder)
    assert run(without).structures is None


def test_check_looks_at_held_out_images_too(tmp_path, own_folder, compose_tiny):
    blank(own_folder, 6)
    with pytest.raises(InputError, match=r"smear_06\.png: no structure threshold"):
        run(compose_tiny(tmp_path, "stage=check", STRUCTURED, root=own_folder))


def test_check_shows_structure_maps_where_the_translator_takes_any(tmp_path, compose_tiny, capsys):
    plain = run(compose_tiny(tmp_path, "stage=check"))
    assert plain.structures is None
    assert plain.summary().endswith(f"look at {plain.preview}")
    result = run(compose_tiny(tmp_path, "stage=check", STRUCTURED, "translator.task.structure_method=triangle"))
    assert result.structures.name == "check_folder_structures.png"
    assert str(result.structures) in result.summary()
    assert str(result.preview) in result.summary()
    assert "Structure maps by triangle: dark is at or below grey level" in capsys.readouterr().out


def test_the_preview_shows_the_configured_map_first_and_tells_of_a_method_that_fails(tmp_path, compose_tiny, monkeypatch):
    def fail(image, method):
        if method == "li":
            raise ValueError
        return structure_threshold(image, method)

    monkeypatch.setattr(check, "structure_threshold", fail)
    shown = []
    monkeypatch.setattr(check, "save_structure_preview", lambda path, rows: shown.extend(rows))
    cfg = compose_tiny(tmp_path, "stage=check", STRUCTURED, "translator.task.structure_method=mean")
    run(cfg)
    records = load_inputs(cfg).manifest.split("train")
    assert [row.sample_id for row in shown] == [record.sample_id for record in records][:4]
    for row, record in zip(shown, records, strict=False):
        image = read_image(record.image_path)
        assert np.array_equal(row.image, image)
        levels = {method: structure_threshold(image, method) for method in ("mean", "otsu", "triangle")}
        captions = [f"mean: {levels['mean']:.0f} (in use)", f"otsu: {levels['otsu']:.0f}", "li: none"]
        assert list(row.maps) == [*captions, f"triangle: {levels['triangle']:.0f}"]
        for (caption, drawn), method in zip(row.maps.items(), ("mean", "otsu", None, "triangle"), strict=True):
            expected = structure_map(image, levels[method]) if method else np.zeros(image.shape[:2], bool)
            assert np.array_equal(drawn, expected), caption


def test_thresholds_are_those_of_each_image(inputs):
    records = inputs.manifest.split("train")
    found = thresholds(records, "li")
    assert found == {r.sample_id: structure_threshold(read_image(r.image_path), "li") for r in records}


def test_the_structure_bank_goes_with_the_shape_bank(place, inputs):
    bank = get_structure_bank(inputs, "otsu")
    pairs = []
    for record in inputs.manifest.split("train"):
        image = read_image(record.image_path)
        pairs.append((read_label_map(record.label_path), structure_map(image, structure_threshold(image))))
    # Few cells: those that touch others are among them.
    expected = StructureBank.from_samples(pairs, free_standing=False)
    assert len(bank) == len(expected) > 0
    assert all(np.array_equal(bank.crop(index), expected.crop(index)) for index in range(len(bank)))
    # Another way to find thresholds is another bank.
    get_structure_bank(inputs, "mean")
    assert len(list(place.glob("artifacts/structure_bank/*/structures.npz"))) == 2


def test_a_bank_that_does_not_go_with_the_shapes_is_refused(tmp_path, compose_tiny, monkeypatch):
    fresh = load_inputs(compose_tiny(tmp_path))
    shape_bank(fresh)
    original = StructureBank.from_samples
    monkeypatch.setattr(StructureBank, "from_samples", lambda samples, free_standing: original([*samples][:2], free_standing))
    with pytest.raises(InputError, match=r"shape_bank/\w+ holds 36 shapes where the training label maps have 18"):
        get_structure_bank(fresh, "otsu")
    assert not list(tmp_path.glob("artifacts/structure_bank/*/structures.npz"))


# --- the painter

# Grey level between the cells and their pale centres: cells then differ in structure.
PALE = 140


class Given(SimpleNamespace):
    """A translator that paints the structure map it is given, and remembers the seeds."""

    def paint(self, label_map, structure, seed):
        self.seeds = [*getattr(self, "seeds", []), tuple(seed.generate_state(2))]
        shown = np.zeros(label_map.shape, np.uint8) if structure is None else structure
        return np.repeat(shown[..., None] * 255, 3, axis=2)


def test_a_painter_draws_a_structure_by_the_seed(inputs):
    bank, label_map = get_structure_bank(inputs, PALE), read_label_map(inputs.manifest.split("test")[0].label_path)
    painter = StructurePainter(Given(), bank)
    sequence = np.random.SeedSequence(4, spawn_key=(1,))
    first, again, other = (painter.paint(label_map, seed, "per_image") for seed in (sequence, sequence, 5))
    assert sequence.n_children_spawned == 0
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)
    assert np.array_equal(first[..., 0], painter.draw_structure(label_map, sequence) * 255)
    batch = painter.paint_batch(torch.from_numpy(np.stack([label_map] * 2)).long(), [5, 6])
    assert (batch.shape, batch.dtype) == ((2, 3, *label_map.shape), torch.float32)
    assert np.array_equal(batch[0].permute(1, 2, 0).numpy(), other / 255)
    assert not torch.equal(batch[0], batch[1])
    seeds = painter.translator.seeds
    assert len(set(seeds)) == len(seeds) - 2 == 3


def test_cells_of_a_sampled_mask_bring_the_structure_of_the_cell_they_copy(place, inputs, compose_tiny):
    bank = get_structure_bank(inputs, PALE)
    mask = build_sampler(compose_tiny(place, "sampler=adhesion"), inputs).sample(3)
    image = StructurePainter(Given(), bank).paint_sampled(mask, 7, "per_image", 0)
    # As `dress` would not give it; background depends on the seed alone.
    inside = mask.label_map > 0
    assert np.array_equal(image[inside, 0], bank.render(mask, 8)[inside] * 255)
    assert not np.array_equal(image[inside, 0], bank.dress(mask.label_map, 8)[inside] * 255)


def test_a_painter_without_a_bank_lays_no_structure(inputs):
    label_map = read_label_map(inputs.manifest.split("test")[0].label_path)
    painter = StructurePainter(Given(), None)
    assert painter.draw_structure(label_map, 0) is None
    assert not painter.paint(label_map, 0).any()
