"""Packages whose modules load when first used (PEP 562), so that importing them is quick."""

import importlib
from collections.abc import Callable
from typing import Any


def lazy(package: str, homes: dict[str, str], modules: tuple[str, ...]) -> tuple[Callable, Callable, list[str]]:
    """`__getattr__`, `__dir__` and `__all__` of a package. homes: public name -> the module that it lives in."""
    names = [*homes, *modules]

    def getattr_(name: str) -> Any:
        if name in homes:
            return getattr(importlib.import_module(f".{homes[name]}", package), name)
        if name in modules:
            return importlib.import_module(f".{name}", package)
        raise AttributeError(f"{package} has no '{name}'")

    return getattr_, lambda: sorted(names), names
