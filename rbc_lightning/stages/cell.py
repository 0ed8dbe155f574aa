"""One cell of a multirun in a process of its own: whatever becomes of it, the others go on."""

import multiprocessing
import multiprocessing.forkserver
import multiprocessing.resource_tracker
import os
import signal
import sys
import threading
import traceback
from collections.abc import Callable
from dataclasses import asdict, dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any, Literal

from omegaconf import DictConfig

from rbc_lightning.errors import InputError, TrainingStopped

# What a fresh process would spend most of a short cell's time on.
_IMPORTED_ONCE = ["rbc_lightning.stages.train"]
# A cell that has sent its message has nothing left to write.
_SECONDS_TO_END = 10.0

Status = Literal["begun", "finished", "skipped", "failed"]


@dataclass(frozen=True)
class CellOutcome:
    """How a cell ended.

    Args:
        status: "skipped" for one that was finished before; "begun" before it ended.
        message: one line: what failed, or what was made.
        directory: of the run, where there is one.
        seconds: wall time.
    """

    status: Status
    message: str
    directory: str | None = None
    seconds: float = 0.0


def run_apart(
    run: Callable[[DictConfig], Any],
    cfg: DictConfig,
    *,
    log: Path | None = None,
    cuda_devices: str | None = None,
    follow_parent: bool = False,
) -> CellOutcome:
    """Call `run(cfg)` in a new process and wait for it.

    The new process ends with this one, also when this one is killed; nothing that happens in it is raised here.

    Args:
        run: importable by name; returns what a stage returns.
        cfg: the cell's configuration.
        log: file that takes what the cell prints, and tracebacks; None for this process's own output.
        cuda_devices: CUDA_VISIBLE_DEVICES of the new process; None leaves it as it is.
        follow_parent: end the cell, and this process, when the process that started this one is gone.
    """
    # A server that has imported everything once and started no thread: its copies begin at once, and fresh.
    context: Any = multiprocessing.get_context("forkserver" if sys.platform == "linux" else "spawn")
    if sys.platform == "linux":
        _start_server()
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=_main, args=(sender, run, cfg, str(Path.cwd()), log, cuda_devices))
    parent = os.getppid()
    try:
        process.start()
        sender.close()
        while not wait([receiver, process.sentinel], timeout=1.0):
            if follow_parent and os.getppid() != parent:
                process.kill()
                # An exception would find nobody to go to, and this process would wait for work.
                os._exit(1)
        return _received(receiver, process)
    finally:
        # Also on Ctrl-C and on a cluster's warning: the last checkpoint is where the cell goes on.
        if process.pid is not None:
            process.kill()
            process.join()


def _start_server() -> None:
    """Start the server that cells are copied from, if need be, so that Ctrl-C never reaches it.

    Ctrl-C goes to all processes of a terminal. This one ends the others; the server, whose imports take seconds, would print
    a traceback of them.
    """
    multiprocessing.set_forkserver_preload(_IMPORTED_ONCE)
    # It would be started on the way, and lets signals through again.
    multiprocessing.resource_tracker.ensure_running()
    # A process inherits what is blocked; one that is interrupted now learns of it once the server is there.
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        multiprocessing.forkserver.ensure_running()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _leave_interrupts_to_parent() -> None:
    """Have Ctrl-C end this process by the hand of the one that waits for it, and its own children at once, as usual."""
    cell = os.getpid()

    def interrupt(*_: object) -> None:
        # PyTorch ends the processes of a training by this signal when the one that started them is gone.
        if os.getpid() != cell:
            raise KeyboardInterrupt

    signal.signal(signal.SIGINT, interrupt)
    if hasattr(signal, "pthread_sigmask"):
        # The server's processes begin with the signal blocked, as it is itself.
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})


def _received(receiver: Connection, process: BaseProcess) -> CellOutcome:
    try:
        # The message may lie in the pipe of a process that has ended since.
        if receiver.poll():
            outcome = CellOutcome(**receiver.recv())
            process.join(_SECONDS_TO_END)
            return outcome
    except EOFError:
        pass
    process.join()
    code = process.exitcode or 0
    how = f"killed by signal {signal.Signals(-code).name}" if code < 0 else f"it ended with status {code}"
    hint = " (is there enough memory?)" if code == -signal.SIGKILL else ""
    return CellOutcome("failed", f"its process ended without a word: {how}{hint}")


def _main(
    sender: Connection,
    run: Callable[[DictConfig], Any],
    cfg: DictConfig,
    working_directory: str,
    log: Path | None,
    cuda_devices: str | None,
) -> None:
    """What the new process does: run, and send how it went."""
    _end_with_parent()
    _leave_interrupts_to_parent()
    # A cluster warns all processes of a job; the one that waits for this one acts on it.
    signal.signal(signal.SIGUSR2, lambda *_: None)
    os.chdir(working_directory)
    if cuda_devices is not None:
        os.environ["CUDA_VISIBLE_DEVICES"] = cuda_devices
    if log is not None:
        _print_to(log)
    try:
        outcome = run(cfg)
        status: Status = "skipped" if getattr(outcome, "reused", False) else "finished"
        directory = getattr(outcome, "directory", None)
        sent = CellOutcome(status, outcome.summary(), None if directory is None else str(directory))
        print(sent.message, flush=True)
    except (InputError, TrainingStopped) as error:
        sent = CellOutcome("failed", " ".join(str(error).split()))
        print(f"error: {sent.message}", file=sys.stderr, flush=True)
    except Exception as error:
        # A bug, or a machine's fault such as a full disk: its traceback is kept, the cells after it go on.
        traceback.print_exc()
        sent = CellOutcome("failed", " ".join(f"{type(error).__name__}: {error}".split()))
    sender.send(asdict(sent))


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()

    def watch() -> None:
        if parent is not None:
            parent.join()
            os.kill(os.getpid(), signal.SIGKILL)

    threading.Thread(target=watch, daemon=True).start()


def _print_to(log: Path) -> None:
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("a") as file:
        # The descriptors themselves: libraries and worker processes print there, too.
        for descriptor in (1, 2):
            os.dup2(file.fileno(), descriptor)
