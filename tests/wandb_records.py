"""Reading back what Weights & Biases recorded offline, with its own command line."""

import json
import os
import subprocess
import sys
from pathlib import Path

import wandb

# Beside the interpreter that runs the tests.
WANDB = Path(sys.executable).with_name("wandb")


def read_back(path):
    """The records of a `.wandb` file, in order."""
    shown = subprocess.run([WANDB, "leet", "inspect", "--json", str(path)], capture_output=True, text=True, check=True)
    return [json.loads(line) for line in shown.stdout.splitlines()]


def of_type(records, kind):
    return [record[kind] for record in records if record["type"] == kind]


def summary_of(records):
    """The summary as it stands at the end."""
    summary = {}
    for update in of_type(records, "summary"):
        summary |= update["update"]
    return summary


def history_of(records, key):
    """(optimiser step, value) of one curve."""
    rows = [record["item"] for record in of_type(records, "history")]
    return [(row["trainer/global_step"], row[key]) for row in rows if key in row]


def recordings(directory):
    """The files that runs of a directory recorded offline, the oldest first."""
    return sorted(directory.glob("wandb/offline-run-*/*.wandb"))


def without_login(patch, home):
    """No credentials, no settings of the machine's user, and wandb not yet started."""
    for name in list(os.environ):
        if name.startswith("WANDB_"):
            patch.delenv(name)
    patch.setenv("HOME", str(home))
    patch.setenv("NETRC", str(home / "netrc"))
    wandb.teardown()
