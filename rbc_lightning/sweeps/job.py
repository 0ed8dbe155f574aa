"""A job in a process of its own: whatever becomes of it, this process goes on."""

import multiprocessing
import multiprocessing.forkserver
import multiprocessing.resource_tracker
import os
import signal
import sys
import threading
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any, Literal

from rbc_lightning.errors import InputError, TrainingStopped, in_one_line

# Imports that a new process would spend most of a short job's time on.
# joblib's workers bequeath the name of a way to start processes, which is known where this module of it is imported.
_IMPORTED_ONCE = ["rbc_lightning.commands.train", "rbc_lightning.runs.recipe", "joblib.externals.loky"]

Status = Literal["begun", "finished", "skipped", "failed"]


@dataclass(frozen=True)
class JobOutcome:
    """How a job ended: "skipped" if it was finished before, "begun" before it ended; in one line what failed or was made."""

    status: Status
    message: str
    directory: str | None = None
    seconds: float = 0.0


def run_apart(
    run: Callable[[Any], Any],
    argument: object,
    *,
    log: Path | None = None,
    cuda_devices: str | None = None,
    follow_parent: bool = False,
) -> JobOutcome:
    """Call `run(argument)` in a new process and wait for it.

    The new process ends with this one, also when this one is killed; nothing that happens in it is raised here.

    Args:
        run: importable by name; returns what a stage returns.
        argument: goes there by pickle.
        log: file that takes what the job prints, and tracebacks; None for this process's own output.
        cuda_devices: CUDA_VISIBLE_DEVICES of the new process; None leaves it as it is.
        follow_parent: end the job, and this process, when the process that started this one is gone.
    """
    # A server that has imported everything once and started no thread: its forks begin at once.
    context: Any = multiprocessing.get_context("forkserver" if sys.platform == "linux" else "spawn")
    if sys.platform == "linux":
        _start_server()
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=_main, args=(sender, run, argument, str(Path.cwd()), log, cuda_devices))
    parent = os.getppid()
    try:
        process.start()
        sender.close()
        while not wait([receiver, process.sentinel], timeout=1.0):
            if follow_parent and os.getppid() != parent:
                process.kill()
                # joblib's worker would catch an exception and wait for its next task.
                os._exit(1)
        return _received(receiver, process)
    finally:
        # Also on Ctrl-C and on a cluster's warning: the job resumes from its last checkpoint.
        if process.pid is not None:
            process.kill()
            process.join()


def _start_server() -> None:
    """Start the fork server, if need be, with SIGINT blocked.

    Ctrl-C goes to all processes of a terminal. This process ends the others; the server, interrupted during its imports,
    would print a traceback.
    """
    multiprocessing.set_forkserver_preload(_IMPORTED_ONCE)
    # Started on the way, it would unblock signals.
    multiprocessing.resource_tracker.ensure_running()
    # A process inherits what is blocked; an interrupt that comes now is delivered once the server runs.
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        multiprocessing.forkserver.ensure_running()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _leave_interrupts_to_parent() -> None:
    """Ignore SIGINT in the job: the parent process terminates it; child processes keep the default handler."""
    job = os.getpid()

    def interrupt(*_: object) -> None:
        # PyTorch ends the processes of a training by this signal when their parent is gone.
        if os.getpid() != job:
            raise KeyboardInterrupt

    signal.signal(signal.SIGINT, interrupt)
    # Inherited from the server, the signal is blocked.
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})


def _received(receiver: Connection, process: BaseProcess) -> JobOutcome:
    try:
        # A process that has ended may have left its message in the pipe.
        if receiver.poll():
            outcome: JobOutcome = receiver.recv()
            # Having sent its message it has nothing left to write.
            process.join(10.0)
            return outcome
    except EOFError:
        pass
    process.join()
    code = process.exitcode or 0
    how = f"killed by signal {signal.Signals(-code).name}" if code < 0 else f"it ended with status {code}"
    hint = " (is there enough memory?)" if code == -signal.SIGKILL else ""
    return JobOutcome("failed", f"its process ended without a word: {how}{hint}")


def _main(
    sender: Connection, run: Callable[[Any], Any], argument: object, place: str, log: Path | None, devices: str | None
) -> None:
    """Of the new process: run, and send the outcome."""
    _end_with_parent()
    _leave_interrupts_to_parent()
    # A cluster warns all processes of a job; the parent acts on it.
    signal.signal(signal.SIGUSR2, lambda *_: None)
    os.chdir(place)
    if devices is not None:
        os.environ["CUDA_VISIBLE_DEVICES"] = devices
    if log is not None:
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("a") as file:
            # The descriptors themselves: libraries and worker processes print there, too.
            for descriptor in (1, 2):
                os.dup2(file.fileno(), descriptor)
    try:
        outcome = run(argument)
        status: Status = "skipped" if getattr(outcome, "reused", False) else "finished"
        directory = getattr(outcome, "directory", None)
        sent = JobOutcome(status, outcome.summary(), None if directory is None else str(directory))
        print(sent.message, flush=True)
    except (InputError, TrainingStopped) as error:
        sent = JobOutcome("failed", " ".join(str(error).split()))
        print(f"error: {sent.message}", file=sys.stderr, flush=True)
    except Exception as error:
        # A bug, or a machine's fault such as a full disk: its traceback is kept, later jobs go on.
        traceback.print_exc()
        sent = JobOutcome("failed", in_one_line(error))
    sender.send(sent)


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()

    def watch() -> None:
        if parent is not None:
            parent.join()
            os.kill(os.getpid(), signal.SIGKILL)

    threading.Thread(target=watch, daemon=True).start()
