from rbc_lightning.data.volumes.doctor.spacing import spacing_findings


def test_scans_of_another_voxel_size_are_noted_in_one_line_for_each_size():
    thick = {f"t{k}": (0.9, 0.9, 6.4 + k / 3) for k in range(5)}
    (finding,) = spacing_findings(thick | {"e1": (1.0, 1.0, 3.0), "e2": (1.0, 1.0, 3.0)})
    assert finding.scans == ("e1", "e2")
    assert not finding.grave
    assert finding.text.startswith("voxels of 1.00 x 1.00 x 3.00 mm, where the median of the set is 0.90 x 0.90 x 6.73 mm")


def test_one_size_is_no_finding():
    assert spacing_findings({"a": (1, 1, 6), "b": (1, 1, 8)}) == spacing_findings({}) == []
