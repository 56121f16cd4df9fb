"""Functions that an answer may not call."""

import contextlib
import importlib
from collections.abc import Iterator, Sequence


@contextlib.contextmanager
def refusing(functions: Sequence[str]) -> Iterator[None]:
    """These functions of vos_lab, such as "vos_lab.memory.read", raise, under whatever name they were imported."""
    saved = []
    for name in functions:
        module, _, short = name.rpartition(".")
        function = getattr(importlib.import_module(module), short)
        saved.append((function, function.__code__))
        function.__code__ = refuse.__code__
    try:
        yield
    finally:
        for function, code in saved:
            function.__code__ = code


def refuse(*arguments, **options):
    raise RuntimeError("this exercise asks for lines of your own: it may not call that function of vos_lab")
