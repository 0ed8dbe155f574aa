import gzip
import re

import nibabel as nib
import numpy as np
import pytest
from volume_samples import AFFINE, write_nifti

from rbc_lightning.data.volumes.nifti import (
    GRID_TOLERANCE,
    Volume,
    check_same_grid,
    how_to_convert,
    read_labels,
    read_volume,
    write_volume,
)
from rbc_lightning.errors import InputError

SHAPE = (4, 5, 3)
NUMBERS = np.arange(60).reshape(SHAPE)
# Sheared and turned: no rotation with zooms gives it.
OBLIQUE = np.array([[0.9, 0.31, 0.02, -17.123456], [-0.2, 0.8, 1.9, 3.2], [0.05, -0.3, 6.7, -40.0], [0, 0, 0, 1]])


def header_bytes(path, first, last):
    content = path.read_bytes()
    return (gzip.decompress(content) if path.suffix == ".gz" else content)[first:last]


@pytest.mark.parametrize("kind", ["uint8", "int16", "uint16", "int32", "float32", "float64"])
@pytest.mark.parametrize("suffix", [".nii", ".nii.gz"])
def test_a_volume_is_read_as_stored_whatever_its_type(tmp_path, kind, suffix):
    volume = read_volume(write_nifti(tmp_path / f"a{suffix}", NUMBERS.astype(kind)))
    assert volume.array.dtype == np.float32
    assert volume.affine.dtype == np.float64
    np.testing.assert_array_equal(volume.array, NUMBERS)
    np.testing.assert_array_equal(volume.affine, AFFINE)


def test_extreme_values_neither_wrap_nor_lose_their_sign(tmp_path):
    extremes = np.array([0, 1, 40000, 65535], dtype=np.uint16).reshape(2, 2, 1)
    np.testing.assert_array_equal(read_volume(write_nifti(tmp_path / "u.nii", extremes)).array, extremes)
    ringing = np.array([-32768, -7, 0, 32767], dtype=np.int16).reshape(2, 2, 1)
    np.testing.assert_array_equal(read_volume(write_nifti(tmp_path / "i.nii", ringing)).array, ringing)


def scaled(path, stored, slope, inter):
    """A file whose stored numbers have a slope, written byte by byte: nibabel would choose another."""
    write_nifti(path, stored)
    content = bytearray(path.read_bytes())
    content[112:120] = np.array([slope, inter], dtype="<f4").tobytes()
    path.write_bytes(content)
    return path


def test_slope_and_intercept_are_applied(tmp_path):
    path = scaled(tmp_path / "a.nii", NUMBERS.astype(np.int16), 0.5, -3)
    np.testing.assert_array_equal(read_volume(path).array, NUMBERS * 0.5 - 3)


def test_labels_that_a_slope_made_crooked_are_rounded(tmp_path):
    # 255 * 0.00392156 is 0.9999978.
    stored = (np.arange(4) * 85).astype(np.int16).reshape(2, 2, 1)
    found = read_labels(scaled(tmp_path / "a.nii", stored, 0.0117647, 0))
    assert found.array.dtype == np.int32
    np.testing.assert_array_equal(found.array.ravel(), [0, 1, 2, 3])


def test_labels_near_whole_numbers_are_rounded_others_refused(tmp_path):
    found = read_labels(write_nifti(tmp_path / "a.nii", np.array([0, 0.988, 254.9999999, 65535]).reshape(2, 2, 1)))
    np.testing.assert_array_equal(found.array.ravel(), [0, 1, 255, 65535])
    blurred = write_nifti(tmp_path / "b.nii", np.array([0, 1, 0.4, 0.3]).reshape(2, 2, 1))
    with pytest.raises(
        InputError, match=r"b\.nii: 2 voxels are no whole numbers, such as 0\.4; .* resample masks to the nearest"
    ):
        read_labels(blurred)
    with pytest.raises(InputError, match="1 voxels are no whole numbers, such as nan"):
        read_labels(write_nifti(tmp_path / "c.nii", np.array([0, 1, np.nan, 1]).reshape(2, 2, 1)))


def test_labels_survive_many_saves(tmp_path):
    path, labels = write_nifti(tmp_path / "0.nii.gz", NUMBERS.astype(np.float64)), NUMBERS
    for index in range(1, 6):
        next_path = tmp_path / f"{index}.nii.gz"
        write_volume(next_path, read_labels(path).array, path)
        path = next_path
        np.testing.assert_array_equal(read_labels(path).array, labels)
    assert nib.load(path).get_data_dtype() == np.uint8


@pytest.mark.parametrize("shape", [(4, 5, 3, 1), (4, 5, 3, 1, 1)])
def test_trailing_axes_of_length_one_are_left_out(tmp_path, shape):
    path = write_nifti(tmp_path / "a.nii.gz", NUMBERS.reshape(shape).astype(np.int16))
    assert read_volume(path).array.shape == SHAPE
    assert read_labels(path).array.shape == SHAPE
    write_volume(tmp_path / "b.nii.gz", NUMBERS, path)
    np.testing.assert_array_equal(read_labels(tmp_path / "b.nii.gz").array, NUMBERS)


def test_a_single_slice_is_a_volume(tmp_path):
    assert read_volume(write_nifti(tmp_path / "a.nii", np.ones((4, 5, 1), dtype=np.uint8))).array.shape == (4, 5, 1)


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        ((4, 5, 3, 2), r"a\.nii: 4 x 5 x 3 x 2, 2 volumes in one file; expected three axes: save each volume"),
        ((4, 5, 3, 1, 3), "4 x 5 x 3 x 1 x 3, 3 volumes in one file"),
        ((4, 5), "4 x 5, no volume; expected three axes"),
    ],
)
def test_other_numbers_of_axes_are_refused(tmp_path, shape, message):
    path = write_nifti(tmp_path / "a.nii", np.zeros(shape, dtype=np.int16))
    with pytest.raises(InputError, match=message):
        read_volume(path)


def test_colours_and_complex_numbers_are_refused(tmp_path):
    colour = np.zeros(SHAPE, dtype=[("R", "u1"), ("G", "u1"), ("B", "u1")])
    with pytest.raises(InputError, match="expected one number for each voxel"):
        read_volume(write_nifti(tmp_path / "a.nii", colour))
    with pytest.raises(InputError, match="values of type complex64"):
        read_volume(write_nifti(tmp_path / "b.nii", np.zeros(SHAPE, dtype=np.complex64)))


@pytest.mark.parametrize("bad", [np.nan, np.inf, 1e300])
def test_values_that_are_not_finite_are_refused(tmp_path, bad):
    array = NUMBERS.astype(np.float64)
    array[0, 0, 0] = bad
    with pytest.raises(InputError, match=r"a\.nii: 1 voxels are not finite .* set them to 0"):
        read_volume(write_nifti(tmp_path / "a.nii", array))


@pytest.mark.parametrize("suffix", [".nii", ".nii.gz"])
def test_damaged_files_are_named(tmp_path, suffix):
    path = write_nifti(tmp_path / f"a{suffix}", np.random.default_rng(0).integers(0, 99, (20, 20, 20)).astype(np.int16))
    whole = path.read_bytes()
    for content in (whole[: len(whole) // 2], whole[:100], b"", b"no image at all" * 40):
        path.write_bytes(content)
        with pytest.raises(InputError, match=f"{re.escape(str(path))}: cannot be read .*; expected a whole NIfTI file"):
            read_volume(path)
    path.unlink()
    with pytest.raises(InputError, match="no such file"):
        read_volume(path)


@pytest.mark.parametrize(
    ("name", "tool"),
    [("a.nrrd", "SimpleITK"), ("a.mgz", "mri_convert"), ("a.hdr", "fslchfiletype"), ("a.dcm", "dcm2niix"), ("a", "dcm2niix")],
)
def test_other_formats_are_refused_with_what_converts_them(tmp_path, name, tool):
    (tmp_path / name).write_bytes(b"0")
    with pytest.raises(
        InputError, match=rf"{name}: not a NIfTI file by its name; expected .*convert it to .nii.gz with .*{tool}"
    ):
        read_volume(tmp_path / name)
    assert tool in how_to_convert(tmp_path / name)


def test_a_flat_affine_is_refused(tmp_path):
    path = write_nifti(tmp_path / "a.nii", NUMBERS.astype(np.int16))
    content = bytearray(path.read_bytes())
    content[280:328] = bytes(48)  # srow_x, srow_y, srow_z
    path.write_bytes(content)
    with pytest.raises(InputError, match="flattens the volume; mend its header"):
        read_volume(path)


def test_the_sform_counts_before_the_qform_and_both_are_kept(tmp_path):
    image = nib.Nifti1Image(NUMBERS.astype(np.int16), None)
    image.set_sform(OBLIQUE, code=2)
    image.set_qform(AFFINE, code=1)
    nib.save(image, tmp_path / "a.nii")
    np.testing.assert_allclose(read_volume(tmp_path / "a.nii").affine, OBLIQUE, rtol=1e-6)
    image.set_sform(OBLIQUE, code=0)
    nib.save(image, tmp_path / "b.nii.gz")
    np.testing.assert_allclose(read_volume(tmp_path / "b.nii.gz").affine, AFFINE, rtol=1e-6, atol=1e-5)
    for name in ("a.nii", "b.nii.gz"):
        write_volume(tmp_path / f"out_{name}", NUMBERS, tmp_path / name)
        ours, theirs = (header_bytes(path, 252, 328) for path in (tmp_path / f"out_{name}", tmp_path / name))
        assert ours == theirs  # codes, quaternion, offsets, rows


def test_what_is_written_has_the_place_of_its_image_to_the_bit_and_nothing_else_of_it(tmp_path):
    like = write_nifti(
        tmp_path / "a.nii.gz", NUMBERS.astype(np.float64), OBLIQUE, xyzt_units=10, descrip=b"Somebody", intent_code=3, cal_max=9
    )
    mask = NUMBERS > 30
    write_volume(tmp_path / "b.nii.gz", mask, like)
    written, model = nib.load(tmp_path / "b.nii.gz"), nib.load(like)
    assert written.affine.tobytes() == model.affine.tobytes()
    assert header_bytes(tmp_path / "b.nii.gz", 76, 108) == header_bytes(like, 76, 108)  # pixdim
    assert header_bytes(tmp_path / "b.nii.gz", 252, 328) == header_bytes(like, 252, 328)
    assert written.header.get_xyzt_units() == model.header.get_xyzt_units() == ("mm", "sec")
    assert header_bytes(tmp_path / "b.nii.gz", 112, 120) == np.array([1, 0], dtype="<f4").tobytes()  # slope, intercept
    assert [written.header[name].item() for name in ("intent_code", "cal_max", "descrip")] == [0, 0, b""]
    np.testing.assert_array_equal(np.asarray(written.dataobj), mask)


def test_a_big_endian_file_and_nifti_2_are_read_and_followed(tmp_path):
    for index, image in enumerate(
        (
            nib.Nifti1Image(NUMBERS.astype(">i2"), OBLIQUE, nib.Nifti1Header(endianness=">")),
            nib.Nifti2Image(NUMBERS.astype(np.int16), OBLIQUE),
        )
    ):
        nib.save(image, tmp_path / f"{index}.nii")
        np.testing.assert_array_equal(read_volume(tmp_path / f"{index}.nii").array, NUMBERS)
        write_volume(tmp_path / f"out{index}.nii", NUMBERS, tmp_path / f"{index}.nii")
        written = nib.load(tmp_path / f"out{index}.nii")
        assert written.affine.tobytes() == nib.load(tmp_path / f"{index}.nii").affine.tobytes()
        np.testing.assert_array_equal(np.asarray(written.dataobj), NUMBERS)


@pytest.mark.parametrize(
    ("array", "kind"),
    [
        (NUMBERS > 3, np.uint8),
        (NUMBERS.astype(np.int64), np.uint8),
        (NUMBERS - 5, np.int16),
        (NUMBERS * 100, np.int16),
        (NUMBERS / 7, np.float32),
    ],
)
def test_types_written(tmp_path, array, kind):
    like = write_nifti(tmp_path / "a.nii", NUMBERS.astype(np.int16))
    write_volume(tmp_path / "b.nii.gz", array, like)
    written = nib.load(tmp_path / "b.nii.gz")
    assert written.get_data_dtype() == kind
    np.testing.assert_array_equal(np.asarray(written.dataobj), array.astype(kind))


def test_nothing_is_written_of_what_does_not_fit(tmp_path):
    like = write_nifti(tmp_path / "a.nii", NUMBERS.astype(np.int16))
    with pytest.raises(ValueError, match=r"an array \(4, 5, 2\) for the grid \(4, 5, 3\)"):
        write_volume(tmp_path / "b.nii", NUMBERS[..., :2], like)
    with pytest.raises(ValueError, match="integers from 0 to 5900000; expected what int16 holds"):
        write_volume(tmp_path / "b.nii", NUMBERS * 100000, like)
    assert [path.name for path in tmp_path.iterdir()] == ["a.nii"]


def test_equal_arrays_give_equal_files(tmp_path):
    like = write_nifti(tmp_path / "a.nii", NUMBERS.astype(np.int16))
    for name in ("b.nii.gz", "c.nii.gz"):
        write_volume(tmp_path / name, NUMBERS, like)
    assert (tmp_path / "b.nii.gz").read_bytes() == (tmp_path / "c.nii.gz").read_bytes()


def place(tmp_path, affine, shape=(200, 200, 20), name="b"):
    return Volume(tmp_path / f"{name}.nii.gz", np.zeros(shape, dtype=np.uint8), affine)


def test_grids_that_differ_from_the_sixth_digit_on_are_one(tmp_path):
    first = place(tmp_path, OBLIQUE, name="a")
    check_same_grid(first, place(tmp_path, OBLIQUE * (1 + 2e-6)))
    nearly = OBLIQUE.copy()
    nearly[0, 3] += 0.9 * GRID_TOLERANCE
    check_same_grid(first, place(tmp_path, nearly))
    nearly[0, 3] += 0.2 * GRID_TOLERANCE
    with pytest.raises(
        InputError, match=r"b\.nii\.gz: its corners lie up to 0\.011 mm from those of a\.nii\.gz; expected one grid"
    ):
        check_same_grid(first, place(tmp_path, nearly))


def test_other_shapes_and_mirrored_grids_are_refused(tmp_path):
    first = place(tmp_path, AFFINE, name="a")
    with pytest.raises(InputError, match=r"b\.nii\.gz: 200 x 200 x 19 voxels, but a\.nii\.gz has 200 x 200 x 20; expected one"):
        check_same_grid(first, place(tmp_path, AFFINE, shape=(200, 200, 19)))
    with pytest.raises(InputError, match="or mend the header"):
        check_same_grid(first, place(tmp_path, AFFINE @ np.diag([-1, 1, 1, 1.0])))
