"""The import rules of the package, enforced by reading its imports."""

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[1] / "rbc_lightning"
MODULES = sorted(PACKAGE.rglob("*.py"))

# Who may import whom; a part may always import itself.
ALLOWED = {
    "masks": set(),
    "ops": set(),
    "nets": set(),
    "errors": set(),
    "usage": set(),
    "data": {"ops", "masks", "errors"},
    "tasks": {"nets", "ops", "errors"},
    "callbacks": {"errors"},
    "report": {"ops"},
    "artifacts": {"__version__"},
    "stages": {"masks", "ops", "nets", "data", "tasks", "report", "artifacts", "callbacks", "errors", "__version__"},
    "app": {"stages", "usage", "errors"},
    "__main__": {"app"},
    "__init__": set(),
}
# Outside libraries that only some places may know.
HOMES = {
    "pytorch_lightning": ("tasks/", "callbacks.py", "data/datamodule.py", "stages/"),
    "hydra": ("app.py", "stages/", "artifacts.py"),
    "omegaconf": ("app.py", "stages/", "artifacts.py"),
    "albumentations": ("data/augment.py",),
    "wandb": ("callbacks.py", "stages/"),
}
TORCH_FREE = ("masks/",)


def imports_of(path):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from ((alias.name, None) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            yield from ((node.module, alias.name) for alias in node.names)


def part_of(path):
    relative = path.relative_to(PACKAGE)
    return relative.parts[0] if len(relative.parts) > 1 else relative.stem


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_stay_within_the_rules(path):
    part, relative = part_of(path), str(path.relative_to(PACKAGE))
    for module, name in imports_of(path):
        root, *rest = module.split(".")
        if root == "rbc_lightning":
            target = rest[0] if rest else name
            assert target == part or target in ALLOWED[part], f"{relative} imports {module} ({name})"
        for library, homes in HOMES.items():
            assert root != library or relative.startswith(homes), f"{relative} imports {library}"
        assert root not in ("torch", "torchvision") or not relative.startswith(TORCH_FREE), f"{relative} imports torch"


def test_the_rules_know_every_part():
    assert {part_of(path) for path in MODULES} == set(ALLOWED)
