"""How the things in a collage move, at n times at once. Lengths are in short sides of the frame, from its middle."""

import math
from collections.abc import Callable

import numpy as np
from jaxtyping import Float

Motion = Callable[[np.ndarray], np.ndarray]  # times (n) -> places (n,2), or matrices (n,3,3)
Bend = Callable[[np.ndarray, np.ndarray], np.ndarray]  # times (n), points (n,h,w,2) -> how far each point is shifted


def wander(rng: np.random.Generator, rate: float, d: int = 1, periods: tuple[int, int] = (14, 80)) -> Motion:
    """A smooth path (n,d), 0 at time 0: sine waves of random periods in frames, which move at `rate` per frame (RMS)."""
    shortest, longest = np.log(periods)
    period = np.exp(rng.uniform(shortest, longest, (3, 1)))
    phase, weight = rng.uniform(0, 2 * np.pi, (3, d)), rng.standard_normal((3, d))
    amplitude = rate * math.sqrt(2) * weight / np.linalg.norm(weight) * period / (2 * np.pi)
    at = lambda times: (amplitude * np.sin(2 * np.pi * times[:, None, None] / period + phase)).sum(1)
    return lambda times: at(times) - at(np.zeros(1))


def crossing(rng: np.random.Generator, place: np.ndarray, path: Motion, distance: float, length: int) -> tuple:
    """Place and path of something that starts at a distance from another thing and passes straight over it."""
    moment, angle = rng.uniform(0.3, 0.8) * max(length, 3), rng.uniform(0, 2 * np.pi)
    step = max(1.1 * distance / moment, 0.015) * np.array([math.cos(angle), math.sin(angle)])
    return place + path(np.array([moment]))[0] - moment * step, lambda times: times[:, None] * step


def waves(rng: np.random.Generator, strength: float, rate: float) -> Bend:
    """A smooth field of shifts of at most `strength`, whose waves travel at up to `rate` radians per frame."""
    vector, turning = rng.uniform(-2.2, 2.2, (3, 2)), rng.uniform(-rate, rate, 3)
    phase, angle = rng.uniform(0, 2 * np.pi, 3), rng.uniform(0, 2 * np.pi, 3)
    push = strength / 3 * np.stack([np.cos(angle), np.sin(angle)], axis=1)
    return lambda times, points: np.sin(points @ vector.T + times[:, None, None, None] * turning + phase) @ push


def matrices(
    shift: Float[np.ndarray, "n 2"],
    angle: float | Float[np.ndarray, "n"] = 0.0,
    scale: float | Float[np.ndarray, "n"] = 1.0,
    squeeze: float | Float[np.ndarray, "n"] = 1.0,
    slant: float | Float[np.ndarray, "n"] = 0.0,
) -> Float[np.ndarray, "n 3 3"]:
    """Squeeze along x and slant, then turn, scale and shift."""
    cos, sin = scale * np.cos(angle), scale * np.sin(angle)
    total = np.zeros((len(shift), 3, 3))
    total[:, 0, 0], total[:, 0, 1], total[:, 0, 2] = cos * squeeze, cos * slant - sin, shift[:, 0]
    total[:, 1, 0], total[:, 1, 1], total[:, 1, 2] = sin * squeeze, sin * slant + cos, shift[:, 1]
    total[:, 2, 2] = 1
    return total


def moved(matrix: Float[np.ndarray, "n 3 3"], points: Float[np.ndarray, "n h w 2"]) -> Float[np.ndarray, "n h w 2"]:
    return points @ matrix[:, None, :2, :2].swapaxes(2, 3) + matrix[:, None, None, :2, 2]


def once(motion: Motion) -> Motion:
    """The same, worked out once for the same times: all parts of a body ask for its way, and all bodies for the camera's."""
    known: dict[bytes, np.ndarray] = {}

    def remembered(times: np.ndarray) -> np.ndarray:
        if times.tobytes() not in known:
            known[times.tobytes()] = motion(times)
        return known[times.tobytes()]

    return remembered


def camera(rng: np.random.Generator, followed: Motion, hardness: float | int) -> Motion:
    """The way from the world to the frame: pan, shake, zoom and roll. Half of the time it follows the first object."""
    strength = (0.15 + 0.85 * hardness) * rng.uniform(0.1, 1.0)
    pan, shake = wander(rng, 0.02 * strength, 2), wander(rng, 0.006 * strength * rng.uniform(), 2, periods=(3, 8))
    zoom, roll = wander(rng, 0.015 * strength), wander(rng, 0.01 * strength)
    share = rng.uniform(0.7, 1.0) if rng.uniform() < 0.5 else 0.0

    def view(times: np.ndarray) -> np.ndarray:
        middle = pan(times) + shake(times) + share * followed(times)
        return matrices(0 * middle, roll(times)[:, 0], np.exp(zoom(times)[:, 0])) @ matrices(-middle)

    return once(view)


def body(
    rng: np.random.Generator, place: np.ndarray, path: Motion, unit: float, view: Motion, hardness: float | int
) -> tuple[Motion, Bend, Motion]:
    """How a thing that is 2 units large lies in the frame, bends, and how its texture slides: it turns in depth as well."""
    rate = lambda most: (0.2 + 0.8 * hardness) * most * rng.uniform(0.1, 1.0)
    angle, growth, narrowing, slant = (wander(rng, rate(most)) for most in (0.05, 0.025, 0.04, 0.03))
    upright, narrow = rng.normal(0, 0.25), rng.choice([-1.0, 1.0]) * rng.uniform(0.7, 1.0)

    def to_frame(times: np.ndarray) -> np.ndarray:
        squeeze = narrow * np.exp(0.6 * np.tanh(narrowing(times)[:, 0]))
        scale = unit * np.exp(0.7 * np.tanh(growth(times)[:, 0]))
        return view(times) @ matrices(place + path(times), upright + angle(times)[:, 0], scale, squeeze, slant(times)[:, 0])

    bend = waves(rng, (0.08 + 0.2 * hardness) * rng.uniform(0.2, 1.0), 0.08 + 0.2 * hardness)
    return once(to_frame), bend, wander(rng, rate(0.04) * (rng.uniform() < 0.5), 2)
