"""Work beside the kernel's own: one job at a time, the newest that was asked for."""

import threading
from collections.abc import Callable

Job = Callable[[Callable[[], bool]], None]


class Worker:
    """Runs jobs in a thread that lives only while there is one. A job gets `stopped`, a function that says whether to give up:
    a newer job is waiting, or nobody wants the answer any more."""

    def __init__(self):
        self._lock = threading.Lock()
        self._next: Job | None = None
        self._stopped = threading.Event()
        self._thread: threading.Thread | None = None

    def ask(self, job: Job) -> None:
        """Run this job, in place of one that waits; the one that runs is told to stop."""
        with self._lock:
            self._next = job
            self._stopped.set()
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, daemon=True)
                self._thread.start()

    def stop(self) -> None:
        """Forget the job that waits, tell the one that runs to stop, and wait for its end."""
        with self._lock:
            self._next = None
            self._stopped.set()
        self.wait()

    def wait(self) -> None:
        """Until nothing is left to do."""
        while (thread := self._thread) is not None and thread is not threading.current_thread():
            thread.join()

    def _run(self) -> None:
        while True:
            with self._lock:
                job, self._next = self._next, None
                if job is None:
                    self._thread = None
                    return
                self._stopped.clear()
            job(self._stopped.is_set)
