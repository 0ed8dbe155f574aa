"""What tests of charts share: SVG read back, and made-up differences."""

import re
from xml.etree import ElementTree

from rbc_lightning.study.statistics import Difference, MeanSquares

SVG = "{http://www.w3.org/2000/svg}"


def difference(value, half, seeds=3):
    squares = MeanSquares(1e-4, 1e-4, 1e-4, seeds, 20)
    return Difference(value, value - half, value + half, 0.04 if abs(value) > half else 0.4, 20, seeds, "image", squares)


def parse(chart):
    root = ElementTree.fromstring(chart.svg)
    assert root.tag == f"{SVG}svg"
    assert root.find(f"{SVG}title").text == chart.title
    assert len(chart.svg.encode()) < 15_000
    return root


def marks(root, start):
    """(x, y, filled) of marks whose title starts so, in their order."""
    found = []
    for node in root.iter():
        title = node.find(f"{SVG}title")
        if title is not None and title.text.startswith(start) and node.tag != f"{SVG}svg":
            at = re.match(r"M(\S+) ([\d.]+)m", node.get("d", ""))
            x, y = at.groups() if at else (node.get("cx"), node.get("cy"))
            found.append((float(x), float(y), node.get("fill") != "none"))
    return found


def texts(root):
    return [node.text for node in root.iter(f"{SVG}text")]
