"""A missing value is asked for by what is expected there; a report, and what a sweep varies, need none."""

import pytest

from rbc_lightning.app import compose
from rbc_lightning.commands.missing import check_missing
from rbc_lightning.errors import InputError


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        ("folder", r"a folder with images/, labels/ and splits.csv: set it as data.root=\.\.\."),
        ("mri", r"a folder with scans \(.nii.gz\), such as .*nnU-Net or of the WMH challenge: set it as data.root=\.\.\."),
    ],
)
def test_a_missing_folder_is_asked_for_by_what_lies_in_it(data, expected):
    cfg = compose([f"data={data}"])
    with pytest.raises(InputError, match=f"data.root has no value; expected {expected}"):
        check_missing(cfg)
    check_missing(cfg, ["data.root"])
    check_missing(cfg, ["data"])
    check_missing(compose([f"data={data}", "stage=report"]))
    check_missing(compose(["data=mri", "data.root=here"]))


def test_another_value_is_asked_for_by_its_name():
    cfg = compose()
    cfg.sweep_name = "???"
    with pytest.raises(InputError, match=r"sweep_name has no value; expected one: set it as sweep_name=\.\.\."):
        check_missing(cfg)
