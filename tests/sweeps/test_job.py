"""A job in a process of its own: its outcome, its device, and that it ends with the process that waits for it."""

import multiprocessing
import os
import signal
import time
from dataclasses import dataclass
from pathlib import Path

import pytest
from sweep_helpers import eventually, is_gone

from rbc_lightning.errors import InputError
from rbc_lightning.sweeps import job
from rbc_lightning.sweeps.job import run_apart


@dataclass
class Made:
    directory: Path
    reused: bool = False

    def summary(self):
        return f"made in {self.directory}"


def succeed(again):
    print("on its way")
    return Made(Path("there"), again)


def fail(how):
    if how == "input":
        raise InputError("data.root=nowhere;\n expected a folder")
    if how == "bug":
        raise RuntimeError("no such thing")
    if how == "exit":
        os._exit(3)
    os.kill(os.getpid(), signal.SIGKILL)


def name_device(_):
    return Made(Path(os.environ["CUDA_VISIBLE_DEVICES"]))


def test_a_job_reports_what_it_made(tmp_path):
    log = tmp_path / "records" / "job.log"
    outcomes = [run_apart(succeed, again, log=log) for again in (False, True)]
    assert [(outcome.status, outcome.directory) for outcome in outcomes] == [("finished", "there"), ("skipped", "there")]
    assert log.read_text() == "on its way\nmade in there\n" * 2


@pytest.mark.parametrize(
    ("how", "message", "logged"),
    [
        ("input", "data.root=nowhere; expected a folder", "error: data.root=nowhere; expected a folder\n"),
        ("bug", "RuntimeError: no such thing", "Traceback"),
        ("exit", "its process ended without a word: it ended with status 3", ""),
        ("kill", "its process ended without a word: killed by signal SIGKILL (is there enough memory?)", ""),
    ],
)
def test_whatever_befalls_a_job_is_one_line_here(how, message, logged, tmp_path):
    log = tmp_path / "job.log"
    outcome = run_apart(fail, how, log=log)
    assert (outcome.status, outcome.message) == ("failed", message)
    assert logged in log.read_text()


def test_a_job_has_its_own_device():
    assert run_apart(name_device, None, cuda_devices="5").directory == "5"
    assert os.environ.get("CUDA_VISIBLE_DEVICES") != "5"


def wait_for_long(pid_file):
    pid_file.write_text(str(os.getpid()))
    time.sleep(120)


def supervise(pid_file):
    # It does not train: without the imports of one that does.
    job._IMPORTED_ONCE.clear()
    run_apart(wait_for_long, pid_file)


def test_a_job_ends_with_the_process_that_waits_for_it(tmp_path):
    pid_file = tmp_path / "pid"
    supervisor = multiprocessing.get_context("spawn").Process(target=supervise, args=(pid_file,))
    supervisor.start()
    assert eventually(lambda: pid_file.is_file() and pid_file.read_text())
    supervisor.kill()
    assert eventually(lambda: is_gone(pid_file.read_text()), seconds=10)


def interrupt_itself(_):
    os.kill(os.getpid(), signal.SIGINT)
    child = os.fork()
    if child == 0:
        try:
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(5)
        except KeyboardInterrupt:
            os._exit(7)
        os._exit(0)
    _, status = os.waitpid(child, 0)
    if signal.SIGINT in signal.pthread_sigmask(signal.SIG_BLOCK, ()):
        return Said("it is blocked")
    return Said(f"its child ended with {os.waitstatus_to_exitcode(status)}")


@dataclass
class Said:
    words: str

    def summary(self):
        return self.words


def test_a_job_leaves_ctrl_c_to_its_parent_and_its_own_processes_do_not(tmp_path):
    outcome = run_apart(interrupt_itself, None, log=tmp_path / "log.txt")
    assert (outcome.status, outcome.message) == ("finished", "its child ended with 7")
