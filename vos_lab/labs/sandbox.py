"""Run a notebook that nobody has looked at, in a process that can do no harm, and call its functions from here.

What comes back is plain data (`plain`), never code. A cell or a call that does not end, or that ends the process, costs that
process: a new one runs the other cells again.
"""

import contextlib
import os
import secrets
import socket
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from . import plain

TOO_LONG = "it took too long and was stopped"
PACKAGE = Path(__file__).parents[1]
AGAIN = 0.5  # seconds of computing for a cell that did not end when it ran first
KEPT = ("PATH", "LANG", "LC_ALL", "LD_LIBRARY_PATH")  # of the grader's environment; the rest may hold secrets


@dataclass(frozen=True)
class Limits:
    """Seconds of computing for a cell or a call, and of waiting for it; how often a notebook may end its process."""

    seconds: float = 5.0
    wait: float = 40.0
    deaths: int = 12


class Nursery:
    """A process that has loaded the libraries and divides itself for each notebook. Safe to share between threads."""

    def __init__(self):
        self._lock = threading.Lock()
        self._control, theirs = socket.socketpair()
        environment = {name: os.environ[name] for name in KEPT if name in os.environ}
        environment |= {"PYTHONPATH": str(PACKAGE.parent), "PYTHONHASHSEED": "0", "OMP_NUM_THREADS": "1", "MPLBACKEND": "Agg"}
        environment |= {"VOS_LAB_FAST": "1", "PYTHONDONTWRITEBYTECODE": "1", "HOME": os.environ.get("HOME", "/")}
        command = [sys.executable, "-m", f"{__package__}.child", str(theirs.fileno())]
        self._process = subprocess.Popen(
            command, pass_fds=[theirs.fileno()], env=environment, cwd="/", stdin=subprocess.DEVNULL, start_new_session=True
        )
        theirs.close()

    def start(self, folder: str) -> tuple[int, socket.socket]:
        ours, theirs = socket.socketpair()
        with theirs:
            return int(self._ask(f"start {folder}", [theirs.fileno()])), ours

    def stop(self, pid: int) -> None:
        self._ask(f"stop {pid}", [])

    def _ask(self, order: str, channels: list[int]) -> str:
        with self._lock:
            socket.send_fds(self._control, [order.encode()], channels)
            answer = b""
            while not answer.endswith(b" "):
                more = self._control.recv(64)
                if not more:
                    raise RuntimeError("the process that starts students' notebooks has ended: start the grading again")
                answer += more
            return answer.decode().strip()

    def close(self) -> None:
        self._control.close()
        self._process.wait()


@dataclass
class Notebook:
    """A running notebook. cells: the sources of its code cells; said: of each that ran, what it printed and its error.

    pictures: files that lie in its folder, name -> bytes.
    """

    nursery: Nursery
    cells: list[str]
    limits: Limits = field(default_factory=Limits)
    pictures: dict[str, bytes] = field(default_factory=dict)
    said: dict[int, dict] = field(default_factory=dict)

    def __enter__(self) -> "Notebook":
        self._folder = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
        for name, content in self.pictures.items():
            path = Path(self._folder.name, name)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        self._pid, self._deaths, self._skipped = None, 0, set()
        return self

    def __exit__(self, *_) -> None:
        self._end()
        self._folder.cleanup()

    def run(self) -> None:
        """Run all cells from the top; those that end the process are left out."""
        while self._pid is None:
            if self._deaths > self.limits.deaths:
                raise StoppedError("the notebook ended its process too often: the rest of it was not run")
            self._pid, self._channel = self.nursery.start(self._folder.name)
            for i, source in enumerate(self.cells):
                if i in self._skipped:
                    continue
                slow = self.said.get(i, {}).get("stopped")  # it had its time when it ran first
                try:
                    reply = self._ask(do="cell", source=source, cell=f"cell {i + 1}", seconds=AGAIN if slow else None)
                    self.said.setdefault(i, reply)
                except StoppedError as error:
                    self.said.setdefault(i, {"printed": "", "error": ["Stopped", str(error)]})
                    self._skipped.add(i)
                    break

    def execute(self, source: str) -> None:
        """Run one more cell."""
        self.run()
        self.cells.append(source)
        self.said[len(self.cells) - 1] = self._ask(do="cell", source=source, cell="a cell of the grader")

    def call(self, name: str, arguments: tuple, without: list[str]) -> dict:
        """Call a function: -> {"output", "given"} or {"error": [class, words]}. StoppedError: it did not return."""
        self.run()
        reply = self._ask(do="call", name=name, arguments=arguments, without=without)
        if reply.get("stopped"):
            raise StoppedError(TOO_LONG)
        return reply

    def _ask(self, seconds: float | None = None, **request: Any) -> dict:
        token, deadline = secrets.token_hex(8), time.monotonic() + self.limits.wait
        try:
            self._channel.settimeout(self.limits.wait)
            plain.send(self._channel, {**request, "token": token, "seconds": seconds or self.limits.seconds})
            while True:
                reply = plain.receive(self._channel, deadline - time.monotonic())
                if isinstance(reply, dict) and reply.get("token") == token:  # what a cell sends by itself answers nothing
                    return reply
        except TimeoutError:
            self._end()
            raise StoppedError(TOO_LONG) from None
        except (EOFError, OSError, ValueError) as error:
            self._end()
            gone = isinstance(error, (EOFError, OSError))
            raise StoppedError("it ended the process" if gone else "it sent what cannot be read") from None

    def _end(self) -> None:
        if self._pid is not None:
            self._channel.close()
            with contextlib.suppress(RuntimeError):
                self.nursery.stop(self._pid)
            self._deaths, self._pid = self._deaths + 1, None


class StoppedError(Exception):
    """A cell or a call did not come to its own end."""
