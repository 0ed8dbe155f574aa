"""Label maps in memory as the node that mask recipes are made from."""

from dataclasses import dataclass, field
from typing import Any

from rbc_lightning.core.recipe import Node
from rbc_lightning.data.spec import RGB, ImageSpec


@dataclass(frozen=True)
class LabelMapNode(Node):
    """Label maps under a name that stands for their hash."""

    kind = "samples"

    name: str
    maps: tuple[Any, ...] = field(default=(), metadata={"decides": False}, compare=False)
    spec: ImageSpec = field(default=RGB, metadata={"decides": False}, compare=False)

    def label_maps(self):
        return list(self.maps)

    def __len__(self):
        return len(self.maps)
