import nibabel as nib
import numpy as np
import pytest

from rbc_lightning.data.volumes.doctor.forms import form_findings

AFFINE = np.diag([-0.9, 0.9, 7, 1])


def header(qform=AFFINE, sform=AFFINE, qcode=1, scode=1):
    made = nib.Nifti1Image(np.zeros((10, 20, 5), np.uint8), AFFINE).header
    made.set_qform(qform, code=qcode)
    made.set_sform(sform, code=scode)
    return made


def texts(made):
    return [finding.text for finding in form_findings("a", "FLAIR", made)]


def test_forms_that_agree_and_a_form_alone_are_no_finding():
    assert texts(header()) == texts(header(qcode=0)) == texts(header(scode=0)) == []


def test_forms_that_differ_are_told_in_mm_with_their_codes():
    moved = AFFINE.copy()
    moved[0, 3] = 4
    (text,) = texts(header(sform=moved, scode=2))
    assert text.startswith("sform (code 2) and qform (code 1) of FLAIR lie up to 4.0 mm apart; the sform is taken")


def test_no_code_at_all_is_told():
    assert "tells left from right" in texts(header(qcode=0, scode=0))[0]


def test_units_other_than_mm_are_told():
    made = header()
    made.set_xyzt_units("micron")
    assert texts(made) == ["the header of FLAIR counts in microns; expected mm"]


def test_pixdim_that_differs_from_the_sform_is_told():
    made = header(qcode=0)
    made["pixdim"][3] = 6.4
    assert texts(made) == [
        "voxels of FLAIR are 0.90 x 0.90 x 6.40 mm by pixdim, 0.90 x 0.90 x 7.00 mm by its affine, which is taken"
    ]


@pytest.mark.parametrize(("order", "plane"), [((0, 2, 1), "coronal"), ((2, 1, 0), "sagittal")])
def test_thick_slices_of_another_direction_are_noted(order, plane):
    turned = np.eye(4)
    turned[:3, :3] = AFFINE[:3, :3][list(order)]
    (text,) = texts(header(turned, turned))
    assert text == f"FLAIR was scanned in {plane} slices 7.0 mm apart: axial slices are cut across them, and coarse"


def test_a_steep_angle_is_noted():
    angle = np.radians(30)
    turn = np.eye(4)
    turn[1:3, 1:3] = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
    assert "turned by 30 degrees" in texts(header(turn @ AFFINE, turn @ AFFINE))[0]
