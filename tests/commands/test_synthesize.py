import json

from rbc_lightning.app import run


def test_pairs_a_sheet_and_coco_are_left_and_a_larger_set_begins_with_the_smaller(tmp_path, compose_made):
    small = run(compose_made(tmp_path, "stage=synthesize", "synthetic.count=2", "synthetic.coco=true"))
    images = {path.name: path.read_bytes() for path in (small.manifest.parent / "images").iterdir()}
    assert small.count == len(images) == 2
    assert len(json.loads((small.manifest.parent / "coco.json").read_text())["images"]) == 2
    large = run(compose_made(tmp_path, "stage=synthesize", "synthetic.count=3"))
    assert large.manifest == small.manifest
    assert {name: (large.manifest.parent / "images" / name).read_bytes() for name in images} == images
    assert large.summary() == f"3 synthetic pairs listed in {large.manifest}; look at {large.figure}"
