"""What `--help` prints: stages, experiments and configuration groups, one line each, read from the files themselves."""

import os
import sys
from collections.abc import Sequence
from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent
# Beside the package in a checkout, inside it in a wheel.
CONF_DIR = _PACKAGE / "conf" if (_PACKAGE / "conf" / "config.yaml").is_file() else _PACKAGE.parent / "conf"

STAGES = {
    "train": "make whatever is missing upstream, train on the chosen mix, test on real images (default)",
    "check": "read the data set, check every file, print its statistics, draw a preview",
    "masks": "make label maps from the chosen source (masks=...)",
    "translator": "train the GAN that turns label maps into images",
    "synthesize": "make synthetic pairs (synthetic.count of them) from the chosen source (pairs=...)",
    "pairs": "measure synthetic pairs beside real ones: layout, faithfulness, diversity, copies (synthetic.count of pairs=...)",
    "predict": "find the cells in images, or the classes in scans, of a folder by a trained run (predict.run, predict.images)",
    "plan": "time a few steps of everything a run or +sweep=NAME needs; print hours, memory and disk",
    "report": "collect finished runs into Table 2: means, intervals, p-values, a verdict for each model",
}

_HEAD = """\
usage: python -m rbc_lightning [+experiment=NAME] [stage=NAME] [GROUP=CHOICE ...] [KEY=VALUE ...]

Would synthetic data help on my blood smears or brain scans, and can I have it?

  python -m rbc_lightning +experiment=rd_sd_aug                             on the built-in phantom, minutes on two cores
  python -m rbc_lightning +experiment=rd_sd_aug data=folder data.root=DIR   on your own smears
  python -m rbc_lightning +experiment=rd_sd_aug data=mri data.root=DIR      on your own scans (data=mri_phantom: drawn ones)
"""
_TAIL = """\
KEY=VALUE sets any value of the configuration: seed=1, translator.task.n_epochs=40, model.net.width=0.5.
--cfg job prints the configuration, -m runs a sweep over comma-separated values, --hydra-help explains Hydra's own flags.
"""


def usage() -> str:
    """The help text."""
    parts = [_HEAD, _section("stages (stage=...)", STAGES), _section("experiments (+experiment=...)", _choices("experiment"))]
    parts.append(_section("sweeps, many runs at once (+sweep=...)", _choices("sweep")))
    launchers = {"basic": "One job after the other (default)."} | _choices("hydra/launcher")
    del launchers["submitit_base"]
    parts.append(_section("where a sweep runs (hydra/launcher=...)", launchers))
    for group in sorted(path.name for path in CONF_DIR.iterdir() if path.is_dir()):
        choices = _choices(group)
        if group not in ("experiment", "sweep", "hydra") and choices:
            parts.append(_section(f"{group}=...", choices))
    return "\n".join([*parts, _TAIL])


def asks_for_help(arguments: Sequence[str]) -> bool:
    """Whether a command line asks for the help text."""
    return bool({"-h", "--help"} & set(arguments))


def print_usage() -> int:
    """Print the help text; a reader that has seen enough, such as `head`, ends it. Returns the exit status."""
    try:
        print(usage(), flush=True)
    except BrokenPipeError:
        # Python would complain again when it closes the pipe at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 0


def _choices(group: str) -> dict[str, str]:
    return {path.stem: _first_comment(path) for path in sorted((CONF_DIR / group).glob("*.yaml"))}


def _first_comment(path: Path) -> str:
    for line in path.read_text().splitlines():
        if line.startswith("#") and "@package" not in line:
            return line.lstrip("# ")
    return ""


def _section(title: str, entries: dict[str, str]) -> str:
    width = max(map(len, entries)) + 2
    return "\n".join([title, *(f"  {name:<{width}}{text}" for name, text in entries.items()), ""])
