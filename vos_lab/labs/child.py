"""The process that runs students' code: `python -m vos_lab.labs.child CHANNEL`, started by `sandbox`.

It loads the libraries once and then divides itself for each submission: the copy confines itself, runs the cells and calls the
functions that it is asked for, with the inputs that it is given. It knows no answers, no seeds and no points.
"""

import contextlib
import io
import os
import re
import resource
import signal
import socket
import sys
import types
from collections.abc import Iterator
from pathlib import Path

import matplotlib.pyplot
import torch

# loaded here, once for all notebooks
import vos_lab.datasets.samples
import vos_lab.models.load
import vos_lab.show
import vos_lab.tracker
import vos_lab.training  # noqa: F401

from ..shipped import DATA
from . import confine, plain
from .refuse import refusing

PACKAGE = Path(__file__).parents[1]
TEXT = 2000  # characters of what a cell prints that are kept


class TookTooLongError(BaseException):
    """So that `except Exception` does not catch it."""


def main(control: socket.socket) -> None:
    """Start and stop a process per notebook, as the grader asks: "start FOLDER", with its channel, or "stop PID"."""
    torch.set_num_threads(1)
    torch.nn.functional.conv2d(torch.zeros(1, 1, 8, 8), torch.zeros(1, 1, 3, 3))  # looks at the processor, unlocked
    torch.optim.AdamW([torch.nn.Parameter(torch.zeros(1))]).zero_grad()  # the first one loads what takes seconds
    while True:
        message, channels, *_ = socket.recv_fds(control, 4096, 1)
        if not message:
            return
        order, _, what = message.decode().partition(" ")
        if order == "stop":
            for kill in (os.killpg, os.kill):  # it leads its group, unless it was still being born
                with contextlib.suppress(ProcessLookupError):
                    kill(int(what), signal.SIGKILL)
            os.waitpid(int(what), 0)
            control.sendall(b"stopped ")
            continue
        pid = os.fork()
        if not pid:
            control.close()
            serve(socket.socket(fileno=channels[0]), Path(what))
            os._exit(0)
        os.close(channels[0])
        control.sendall(f"{pid} ".encode())


def serve(channel: socket.socket, folder: Path) -> None:
    """Confine this process, then run cells and calls, one after the other, until the grader is gone."""
    os.setsid()
    nowhere = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(nowhere, stream)
    os.chdir(folder)
    os.environ.update(HOME=str(folder), TMPDIR=str(folder))
    isolated = confine.isolate()
    confine.limit(isolated)
    confine.lock(folder, readable())
    hide_answers()
    student = sys.modules["__main__"] = types.ModuleType("__main__")
    student.__dict__.update(display=lambda *what, **how: None)
    signal.signal(signal.SIGPROF, stop)
    while True:
        try:
            request = plain.receive(channel)
        except EOFError:
            return
        what, token = request.pop("do"), request.pop("token")
        reply = {"cell": run_cell, "call": call}[what](student.__dict__, **request)
        try:
            plain.send(channel, reply | {"token": token})
        except (TypeError, ValueError, RecursionError, RuntimeError, MemoryError) as error:
            plain.send(channel, {"token": token, "error": ["TypeError", f"returns what cannot be read: {error}"[:200]]})


def readable() -> list[Path]:
    """The libraries, without the folder of the answers."""
    roots = {Path(root).resolve() for root in (sys.prefix, sys.base_prefix, "/usr", "/lib", "/lib64", PACKAGE)}
    roots.add(DATA)
    found = [path for root in roots if root.exists() for path in confine.without(root, PACKAGE / "labs")]
    return found


def hide_answers() -> None:
    """`from vos_lab.labs import check` works and checks nothing; the exercises cannot be imported."""
    labs = sys.modules["vos_lab.labs"]
    labs.check = lambda name, answer, seed=0: f"{name}: checked when graded"
    del labs.checks
    for name in ("checks", "exercises"):
        sys.modules[f"vos_lab.labs.{name}"] = None


def stop(*_) -> None:
    raise TookTooLongError("it took too long and was stopped")


@contextlib.contextmanager
def time_limit(seconds: float) -> Iterator[None]:
    """Seconds of computing. Code that catches the first warning is ended by the system a little later."""
    used = sum(resource.getrusage(resource.RUSAGE_SELF)[:2])
    resource.setrlimit(resource.RLIMIT_CPU, (int(used + seconds) + 3, resource.RLIM_INFINITY))
    signal.setitimer(signal.ITIMER_PROF, seconds, 0.5)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)


class Printed(io.StringIO):
    """Keeps the beginning of what is printed."""

    def write(self, text: str) -> int:
        return super().write(text[: max(0, TEXT - self.tell())]) or len(text)


def run_cell(names: dict, source: str, cell: str, seconds: float) -> dict:
    """Run a cell as a notebook would: -> what it printed, and its error (class, words)."""
    printed, error, stopped = Printed(), None, False
    try:
        with time_limit(seconds), contextlib.redirect_stdout(printed), contextlib.redirect_stderr(printed):
            exec(compiled(source, cell), names)
    except BaseException as problem:
        error, stopped = describe(problem, cell), isinstance(problem, TookTooLongError)
    finally:
        matplotlib.pyplot.close("all")
    return {"printed": printed.getvalue(), "error": error, "stopped": stopped}


def compiled(source: str, cell: str) -> types.CodeType:
    """Lines such as `%matplotlib inline` or `!pip install` are left out."""
    try:
        return compile(source, cell, "exec")
    except SyntaxError:
        return compile(re.sub(r"(?m)^(\s*)[%!].*$", r"\1pass", source), cell, "exec")


def describe(problem: BaseException, cell: str = "") -> list[str]:
    """The class of an error and its words, with the line of the cell where it arose."""
    line, trace = getattr(problem, "lineno", None) if isinstance(problem, SyntaxError) else None, problem.__traceback__
    while trace:
        line = trace.tb_lineno if trace.tb_frame.f_code.co_filename == cell else line
        trace = trace.tb_next
    return [type(problem).__name__, str(problem)[:TEXT] + (f" (line {line})" if cell and line else "")]


def call(names: dict, name: str, arguments: tuple, without: list[str], seconds: float) -> dict:
    """Call a function of the notebook: -> its output, and the arguments as it left them."""
    try:
        answer = names.get(name)
        if answer is None:
            raise NameError(f"the notebook has no `{name}`: keep the names that the exercises give")
        with refusing(without), time_limit(seconds), contextlib.redirect_stdout(Printed()):
            output = answer(*arguments) if callable(answer) else answer
        return {"output": output, "given": arguments}
    except BaseException as problem:
        return {"error": describe(problem), "stopped": isinstance(problem, TookTooLongError)}


if __name__ == "__main__":
    main(socket.socket(fileno=int(sys.argv[1])))
