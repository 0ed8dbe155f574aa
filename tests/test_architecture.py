"""The rules of the house, enforced by reading the code: who imports whom, where configuration ends, sizes and names."""

import ast
import re
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[1]
PACKAGE = REPOSITORY / "rbc_lightning"
MODULES = sorted(PACKAGE.rglob("*.py"))

FOUNDATION = {"core", "errors", "__version__"}
# Who may import whom; a part may always import itself.
ALLOWED = {
    "__init__": set(),
    "__main__": {"app", "usage"},
    "app": {"commands", "sweeps", "errors", "usage"},
    "usage": set(),
    "errors": set(),
    "core": {"errors", "__version__"},
    "metrics": FOUNDATION,
    "masks": FOUNDATION,
    "data": FOUNDATION | {"masks", "metrics"},
    "tracking": FOUNDATION | {"data", "metrics", "report", "study"},
    "segmenters": FOUNDATION | {"data", "metrics", "masks"},
    "evaluation": FOUNDATION | {"data", "metrics", "masks", "pairs", "segmenters", "tracking", "translators"},
    "translators": FOUNDATION | {"data", "metrics", "masks", "evaluation", "report", "tracking"},
    "pairs": FOUNDATION | {"data", "masks", "translators"},
    "study": FOUNDATION | {"metrics"},
    "report": FOUNDATION | {"metrics", "study", "evaluation"},
    "runs": FOUNDATION | {"data", "metrics", "pairs", "segmenters", "study", "report", "tracking"},
    "sweeps": FOUNDATION,
    "planning": FOUNDATION
    | {"data", "evaluation", "metrics", "pairs", "runs", "segmenters", "study", "sweeps", "tracking", "translators"},
}
EVERYTHING = set(ALLOWED) - {"__main__", "app", "usage"}
# Where the configuration lies is known to `usage` alone, which imports nothing.
ALLOWED["commands"] = EVERYTHING | {"usage"}
# Networks and losses are maths: of ours they know the foundation, and others of their kind.
MATHS = ("nets.py", "modulated_nets.py", "discriminators.py", "losses.py")
MATHS_MAY = (
    "core.",
    "errors",
    "segmenters.shapes",
    "segmenters.fcn8s.nets",
    "segmenters.faster_rcnn.weights",
    "translators.weights",
    "translators.pix2pix.nets",
    "translators.pix2pixhd.layers",
)
# Outside libraries that only some places may know.
HOMES = {
    "omegaconf": ("app.py", "commands/"),
    "hydra": ("app.py", "commands/", "core/build.py", "sweeps/"),
    "albumentations": ("data/augment/",),
    "wandb": ("tracking/", "core/callbacks.py"),
}
CONFIGURATION = re.compile(r"\b(DictConfig|ListConfig|OmegaConf|cfg)\b")


def imports_of(path):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from ((alias.name, None) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            yield from ((node.module, alias.name) for alias in node.names)


def relative(path):
    return str(path.relative_to(PACKAGE))


def part_of(path):
    parts = path.relative_to(PACKAGE).parts
    return parts[0] if len(parts) > 1 else path.stem


every_module = pytest.mark.parametrize("path", MODULES, ids=relative)


@every_module
def test_imports_stay_within_the_rules(path):
    for module, name in imports_of(path):
        root, *rest = module.split(".")
        if root == "rbc_lightning":
            target = rest[0] if rest else name
            assert target == part_of(path) or target in ALLOWED[part_of(path)], f"{relative(path)} imports {module} ({name})"
            if path.name in MATHS:
                assert ".".join(rest).startswith(MATHS_MAY), f"{relative(path)} imports {module}"
        for library, homes in HOMES.items():
            assert root != library or relative(path).startswith(homes), f"{relative(path)} imports {library}"
        assert root not in ("torch", "torchvision") or part_of(path) != "masks", f"{relative(path)} imports torch"


@every_module
def test_configuration_ends_at_the_door(path):
    if part_of(path) not in ("app", "commands", "usage"):
        assert not CONFIGURATION.search(path.read_text()), f"{relative(path)} knows Hydra's configuration"


@every_module
def test_no_file_is_longer_than_three_hundred_lines(path):
    assert len(path.read_text().splitlines()) <= 300


@every_module
def test_every_module_has_a_test_that_can_be_guessed(path):
    if path.name in ("__init__.py", "__main__.py"):
        return
    directory = REPOSITORY / "tests" / path.relative_to(PACKAGE).parent
    assert list(directory.glob(f"test_{path.stem}.py")) or list(directory.glob(f"test_{path.stem}_*.py")), (
        f"no tests/{path.relative_to(PACKAGE).parent}/test_{path.stem}.py"
    )


@every_module
def test_sentences_name_papers_and_cells_as_the_field_does(path):
    text = path.read_text()
    assert not re.search(r"\bS[1-4]('s)?\b(?! *=)", text), f"{relative(path)} calls a paper by a short name"
    assert not re.search(r"\b([Jj]udged?|[Pp]ainters?)\b", text), f"{relative(path)}: FCN-score network, translator"


def test_the_rules_know_every_part():
    assert {part_of(path) for path in MODULES} == set(ALLOWED)
