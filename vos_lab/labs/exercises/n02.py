"""Exercises of notebook 02, keys and affinity."""

import math

import torch

from ... import memory
from ..checks import Exercise, Part


def keys(n: int, m: int, b: int = 1, c: int = 8):
    def inputs(rng):
        draw = lambda cells: torch.from_numpy(rng.standard_normal((b, c, cells)) * rng.uniform(0.5, 2, (b, 1, cells))).float()
        return [(draw(n), draw(m)) for _ in range(3)]

    return inputs


EXERCISES = {
    "l2": Exercise(
        right=memory.similarity,
        parts=[
            Part("one clip", 2, keys(n=12, m=7)),
            Part("a batch", 1, keys(n=5, m=6, b=3)),
        ],
        wrong={
            "the term |k|^2 is missing: this is the dot product, twice": lambda k, q: (
                2 * k.transpose(1, 2) @ q / math.sqrt(k.shape[1])
            ),
            "this is the dot product: what remains of -|k - q|^2 has another factor and another term": lambda k, q: (
                k.transpose(1, 2) @ q / math.sqrt(k.shape[1])
            ),
            "divide by the square root of the number of channels, not of cells": lambda k, q: (
                memory.similarity(k, q) * math.sqrt(k.shape[1] / k.shape[2])
            ),
            "the number of channels stands there without its square root": lambda k, q: (
                memory.similarity(k, q) / math.sqrt(k.shape[1])
            ),
            "memory and query are swapped: wanted one row per memory cell, one column per query cell": lambda k, q: (
                memory.similarity(k, q).transpose(1, 2)
            ),
        },
    ),
}
