from dataclasses import dataclass

import pytest

from rbc_lightning.core.recipe import Node, aside, outline


@dataclass(frozen=True)
class Samples(Node):
    names: tuple[str, ...]
    kind = "samples"
    leaf = True


@dataclass(frozen=True)
class Numerics:
    precision: str
    workers: int

    def decisive(self):
        return {"precision": self.precision}


@dataclass(frozen=True, kw_only=True)
class Bank(Node):
    kind = "bank"
    train: Samples
    seed: int = 0
    label: str = aside("a bank")


@dataclass(frozen=True, kw_only=True)
class Made(Node):
    kind = "made"
    format = 3
    bank: Bank
    size: tuple[int, int] = (4, 5)
    numerics: Numerics = Numerics("bf16", 0)
    grid: int = 2
    fitted: bool = True

    def settings(self):
        found = super().settings()
        return found if self.fitted else {name: value for name, value in found.items() if name != "grid"}


BANK = Bank(train=Samples(("a", "b")))


@pytest.mark.parametrize(
    "other",
    [
        Made(bank=Bank(train=Samples(("a", "c")))),
        Made(bank=Bank(train=BANK.train, seed=1)),
        Made(bank=BANK, size=(4, 6)),
        Made(bank=BANK, numerics=Numerics("fp32", 0)),
        Made(bank=BANK, grid=3),
        Made(bank=BANK, fitted=False),
    ],
)
def test_what_decides_changes_the_key(other):
    assert other.key != Made(bank=BANK).key


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (Bank(train=BANK.train, label="another"), BANK),
        (Made(bank=BANK, numerics=Numerics("bf16", 4)), Made(bank=BANK)),
        (Made(bank=BANK, fitted=False, grid=9), Made(bank=BANK, fitted=False)),
        (Made(bank=BANK, size=[4, 5]), Made(bank=BANK)),
    ],
)
def test_what_decides_nothing_leaves_the_key(first, second):
    assert first.key == second.key


def test_a_higher_format_is_another_thing():
    class Newer(Made):
        format = 4

    assert Newer(bank=BANK).key != Made(bank=BANK).key
    assert Newer(bank=BANK).formats() == {"samples": 1, "bank": 1, "made": 4}


def test_the_graph_is_walked_inputs_first_each_once():
    @dataclass(frozen=True)
    class Two(Node):
        made: Made
        bank: Bank
        kind = "two"

    assert [node.kind for node in Two(Made(bank=BANK), BANK).walk()] == ["samples", "bank", "made", "two"]


def test_the_outline_knows_neither_seeds_nor_data():
    first = outline(Made(bank=BANK))
    assert first == outline(Made(bank=Bank(train=Samples(("z",)), seed=7)))
    assert first == {"size": [4, 5], "numerics": {"precision": "bf16"}, "grid": 2, "fitted": True, "bank": {}}
