"""What of the project a machine checks: the folder `case` and the failure card. The rest is read by a person.

An answer is a function without arguments, which gives {"modes", "frames", "truth", "before", "after", "card"}: the modes of the
mask files, uint8 arrays (T,H,W,3) and (T,H,W) that are void (255) where nothing is known, and the card.
"""

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np

import vos_lab as vl
from vos_lab import memory
from vos_lab.errors import InputError
from vos_lab.labs.checks import Exercise, Part

LENGTHS, SIDES = (10, 48), (96, 256)  # frames; pixels of the shorter side
LONGEST = 480  # pixels of the longer side
CAUSES = ("look-alike", "occlusion", "out of view", "changed looks", "blur or speed", "thin or small", "wrong memory")
TEXTS = ("title", "cause_because", "remedy", "price")  # of the card: at least five words each
NUMBERS = ("object", "last_good", "broken", "weight", "j_before", "j_after")
PLACES = {"query": 2, "looked_at": 3}  # (x, y), and (frame, x, y)


def policy() -> memory.EveryNth:
    """The tracker that is to be broken: stcn-small, every fifth frame in memory, the best 20."""
    return memory.EveryNth(5)


# what is asked of a case, one after the other: each raises InputError with what is wrong


def clip_loads(case: dict) -> None:
    frames, truth = arrays(case, "frames", "truth")
    short, long = sorted(frames.shape[1:3])
    if not LENGTHS[0] <= len(frames) <= LENGTHS[1]:
        raise InputError("the clip is too short or too long: 10 to 48 frames")
    if not SIDES[0] <= short <= SIDES[1] or long > LONGEST:
        raise InputError(
            "the frames are too small or too large: 96 to 256 pixels on the shorter side, at most 480 on the other"
        )
    if not list(case.get("modes") or []) or any(mode != "P" for mode in case["modes"]):
        raise InputError("a mask is no palette PNG: vl.masks.write_mask writes them")
    if not np.setdiff1d(truth[0], [0, 255]).size:
        raise InputError("the mask of the first frame marks no object")
    if (np.abs(frames[1:].astype(int) - frames[:-1]).mean((1, 2, 3)) == 0).all():
        raise InputError("all frames are the same picture: nothing moves in this clip")


def truth_is_known(case: dict) -> None:
    truth, card = arrays(case, "truth")[0], filled(case, "object", "last_good", "broken")
    known = annotated(truth)
    if card["object"] not in np.setdiff1d(truth[0], [0, 255]):
        raise InputError("the card's object is not in the mask of the first frame")
    if known[1:].sum() < 3:
        raise InputError("fewer than three later frames have a true mask: nobody can say how well the object is followed")
    last_good, broken = frames_of(card, truth)
    if not (known[last_good] and known[broken]):
        raise InputError("`last_good` and `broken` must be frames with a true mask")


def before_is_a_track(case: dict) -> None:
    frames, truth, before = arrays(case, "frames", "truth", "before")
    if (before[0] != np.where(truth[0] == 255, 0, truth[0])).mean() > 0.02:
        raise InputError("the first mask of `before` is not the one that was given")
    again = tracked(frames, truth[0]).masks
    ids = np.setdiff1d(truth[0], [0, 255])
    agreement = np.mean([vl.metrics.region_similarity(again == i, before == i).mean() for i in ids])
    if agreement < 0.9:
        raise InputError(
            "the tracker does not find these masks in this clip: track the clip as it lies in the folder, with stcn-small "
            "and vl.EveryNth(5), and save the masks as they are"
        )


def it_breaks(case: dict) -> None:
    truth_is_known(case)
    truth, before = arrays(case, "truth", "before")
    card = filled(case, "object", "last_good", "broken")
    last_good, broken = frames_of(card, truth)
    if last_good >= broken:
        raise InputError("`last_good` comes before `broken`")
    j = scores(truth, before, card["object"])
    if j[last_good] < 0.5:
        raise InputError("`last_good` is not good: J of the object is below 0.5 there")
    if j[broken] > 0.4:
        raise InputError("`broken` is not broken: J of the object is above 0.4 there")


def looks_there(case: dict) -> None:
    frames, truth = arrays(case, "frames", "truth")
    card = filled(case, "object", "broken", "query", "looked_at", "weight")
    broken = frames_of(card, truth, "broken")[0]
    x, y = card["query"]
    frame, there_x, there_y = card["looked_at"]
    height, width = truth.shape[1:]
    if not (0 <= x < width and 0 <= y < height and 0 <= there_x < width and 0 <= there_y < height):
        raise InputError("`query` or `looked_at` lies outside the frame: x comes first, then y")
    track = tracked(frames, truth[0])
    columns = track.keys[broken].shape[3]
    row, column = track.cell_at(int(x), int(y))
    weights = track.affinity(broken, cells=[row * columns + column])[0, :, 0]  # (n,)
    found, place = divmod(int(track.origins(broken)[weights.argmax()]), columns * track.keys[broken].shape[2])
    there = track.cell_at(int(there_x), int(there_y))
    if frame not in track.memory_frames(broken):
        raise InputError("the frame of `looked_at` was not in memory: see before.memory_frames(broken)")
    if frame != found or max(abs(there[0] - place // columns), abs(there[1] - place % columns)) > 1:
        raise InputError("the query cell's largest weight lies elsewhere: copy what `looked_at` returns for it")
    if abs(card["weight"] - float(weights.max())) > 0.05:
        raise InputError("`looked_at` is right, and `weight` is not the largest weight of the query cell, a share of 1")
    here = 0 if truth[broken, int(y), int(x)] == 255 else truth[broken, int(y), int(x)]
    if (here == card["object"]) == (track.masks[broken, int(y), int(x)] == card["object"]):
        raise InputError("the query cell is not one that went wrong: take one whose label in `before` is false")


def numbers_are_true(case: dict) -> None:
    truth_is_known(case)
    truth, before, after = arrays(case, "truth", "before", "after")
    card = filled(case, "object", "broken", "j_before", "j_after")
    broken = frames_of(card, truth, "broken")[0]
    found = {name: scores(truth, masks, card["object"]) for name, masks in (("j_before", before), ("j_after", after))}
    if all(abs(card[name] - np.nanmean(j[1:])) <= 0.005 for name, j in found.items()) and broken > 1:
        if any(abs(card[name] - np.nanmean(j[broken:])) > 0.005 for name, j in found.items()):
            raise InputError("the scores are means over all frames: take those from `broken` on")
    for name, j in found.items():
        if abs(card[name] - np.nanmean(j[broken:])) > 0.005:
            raise InputError(f"`{name}` is not the mean J of the object from `broken` on, over frames with a true mask")


def card_is_filled(case: dict) -> None:
    card = filled(case, *TEXTS, *NUMBERS, *PLACES, "made", "cause")
    if card["made"] not in ("filmed", "rendered"):
        raise InputError("`made` is neither 'filmed' nor 'rendered'")
    if card["cause"] not in CAUSES:
        raise InputError(f"`cause` is none of {', '.join(CAUSES)}")
    if any(len(card[name].split()) < 5 for name in TEXTS):
        raise InputError("a text of the card says too little: at least five words each")


def arrays(case: dict, *names: str) -> list[np.ndarray]:
    """The arrays of a case by name, all of one clip."""
    found = [case.get(name) for name in names]
    for name, x in zip(names, found):
        ndim = 4 if name == "frames" else 3
        if not isinstance(x, np.ndarray) or x.dtype != np.uint8 or x.ndim != ndim or not x.size:
            raise InputError(f"`{name}` is missing, or is not uint8 with a mask or picture for each frame")
    if len({x.shape[:3] for x in found}) > 1:
        raise InputError("frames and masks do not fit together: one mask for each frame, of its size")
    return found


def filled(case: dict, *names: str) -> dict:
    """The card, with these fields in it, each of the kind that it should be."""
    card = case.get("card")
    if not isinstance(card, dict):
        raise InputError("the card is missing")
    for name in names:
        value = card.get(name)
        if value is None or value == "":
            raise InputError(f"`{name}` of the card is empty")
        if name in PLACES:
            right = isinstance(value, (tuple, list)) and len(value) == PLACES[name] and all(map(is_number, value))
        else:
            right = is_number(value) if name in NUMBERS else isinstance(value, str)
        if not right:
            raise InputError(f"`{name}` of the card is of another kind than the table says, or holds no plain values")
    return card


def is_number(x: Any) -> bool:
    return isinstance(x, (int, float)) and not isinstance(x, bool) and -1e9 < x < 1e9  # which NaN is not


def frames_of(card: dict, truth: np.ndarray, *names: str) -> list[int]:
    frames = [int(card[name]) for name in names or ("last_good", "broken")]
    if not all(0 <= frame < len(truth) for frame in frames) or frames[-1] == 0:
        raise InputError("`last_good` or `broken` is no frame of the clip, or `broken` is the first")
    return frames


def annotated(truth: np.ndarray) -> np.ndarray:
    return (truth != 255).any((1, 2))


def scores(truth: np.ndarray, masks: np.ndarray, i: int) -> np.ndarray:
    """J of object i in each frame, nan where nothing is known."""
    j = vl.metrics.region_similarity(truth == i, masks == i)
    return np.where(annotated(truth), j, np.nan)


def tracked(frames: np.ndarray, mask: np.ndarray) -> vl.Track:
    return track_of(frames.tobytes(), mask.tobytes(), frames.shape)


@cache
def track_of(frames: bytes, mask: bytes, shape: tuple) -> vl.Track:
    """The track of a clip from its first mask, recorded."""
    masks = np.full(shape[:3], 255, dtype=np.uint8)
    masks[0] = np.frombuffer(mask, np.uint8).reshape(shape[1:3])
    clip = vl.Clip(np.frombuffer(frames, np.uint8).reshape(shape).copy(), masks)
    return vl.Tracker(vl.load_model("stcn-small"), policy()).run(clip, record=True)


def seen(asked: Callable[[dict], None]) -> Callable:
    """Whether a case has what is asked for."""

    def fits(output, *arguments) -> str:
        if not isinstance(output, dict):
            raise InputError("the folder `case` could not be read")
        asked(output)
        return "right"

    return fits


# a case: object 1 of a small world, whose double takes it over


@cache
def example() -> dict:
    clip = vl.World(**WORLD).clip(**TAKE)
    before = tracked(clip.frames, clip.masks[0])
    after = vl.Tracker(vl.load_model("stcn-small"), policy(), prior=memory.MotionPrior(2.0, 0.25)).run(clip).masks
    j = [scores(clip.masks, masks, 1) for masks in (before.masks, after)]
    broken = int(np.flatnonzero(j[0] < 0.4)[0])
    last_good = int(np.flatnonzero(j[0][:broken] >= 0.5)[-1])
    x, y, there, weight = false_look(before, clip.masks, broken)
    return {
        "modes": ["P"] * len(clip),
        "frames": clip.frames,
        "truth": clip.masks,
        "before": before.masks,
        "after": after,
        "card": {
            "title": "the double takes over the label",
            "made": "rendered",
            "object": 1,
            "last_good": last_good,
            "broken": broken,
            "cause": "look-alike",
            "cause_because": "the cell on the double looks at object one",
            "query": (x, y),
            "looked_at": there,
            "weight": weight,
            "remedy": "a prior on places, beside the looks of things",
            "price": "an object that jumps is lost more easily",
            "j_before": float(j[0][broken:].mean()),
            "j_after": float(j[1][broken:].mean()),
        },
    }


def false_look(track: vl.Track, truth: np.ndarray, frame: int) -> tuple[int, int, tuple[int, int, int], float]:
    """A cell of `frame` with a false label, and where its largest weight lies: x, y, (frame, x, y), weight."""
    h, w = track.keys[frame].shape[2:]
    above, left = track.padding
    stride, middle = track.stride, track.stride // 2
    false = (track.masks[frame] == 1) != (truth[frame] == 1)
    cells = [divmod(cell, w) for cell in range(h * w)]
    places = [(column * stride - left + middle, row * stride - above + middle) for row, column in cells]
    inside = [0 <= x < false.shape[1] and 0 <= y < false.shape[0] and false[y, x] for x, y in places]
    cell = inside.index(True)
    weights = track.affinity(frame, cells=[cell])[0, :, 0]
    remembered, there = divmod(int(track.origins(frame)[weights.argmax()]), h * w)
    return *places[cell], (remembered, *places[there]), float(weights.max())


def changed(**fields) -> Callable[[], dict]:
    """The case with other fields: of the card where it has them."""

    def case() -> dict:
        right = example()
        found = {name: value(right) if callable(value) else value for name, value in fields.items()}
        card = right["card"] | {name: x for name, x in found.items() if name in right["card"]}
        return right | {name: x for name, x in found.items() if name in right} | {"card": found.get("card", card)}

    return case


def void(truth: np.ndarray, frames) -> np.ndarray:
    """The true masks, of which these are not known."""
    truth = truth.copy()
    truth[[frame for frame in frames if frame < len(truth)]] = 255
    return truth


def worst(case: dict) -> int:
    """A broken frame after the first one."""
    j = scores(case["truth"], case["before"], 1)
    return case["card"]["broken"] + 1 + int(j[case["card"]["broken"] + 1 :].argmin())


def honest_look() -> dict:
    """The case, with a query cell whose label is right."""
    case = example()
    track, broken = tracked(case["frames"], case["truth"][0]), case["card"]["broken"]
    x, y, there, weight = false_look(track, np.where(track.masks == 1, 0, 1), broken)
    return case | {"card": case["card"] | {"query": (x, y), "looked_at": there, "weight": weight}}


def parts(points: int) -> list[Part]:
    return [Part("the case that was handed in", points, lambda rng: [()])]


WORLD = dict(seed=5, distractors=3, similarity=0.5, occlusion=0.0, leaving=0.0, camera=0.2, speed=0.02)
TAKE = dict(length=30, size=(120, 208), objects=1, frames=list(range(0, 30, 2)))

EXERCISES = {
    "clip": Exercise(
        right=lambda: example(),
        parts=parts(2),
        seen=seen(clip_loads),
        wrong={
            "a mask is no palette PNG: vl.masks.write_mask writes them": changed(modes=["P", "L", "P"]),
            "the mask of the first frame marks no object": changed(truth=lambda case: 0 * case["truth"]),
            "the clip is too short or too long: 10 to 48 frames": lambda: {
                name: x[:8] if isinstance(x, np.ndarray) else x for name, x in example().items()
            },
            "the frames are too small or too large: 96 to 256 pixels on the shorter side, at most 480 on the other": lambda: {
                name: x[:, ::2, ::2] if isinstance(x, np.ndarray) else x for name, x in example().items()
            },
            "all frames are the same picture: nothing moves in this clip": changed(
                frames=lambda case: np.repeat(case["frames"][:1], len(case["frames"]), 0)
            ),
            "frames and masks do not fit together: one mask for each frame, of its size": changed(
                truth=lambda case: case["truth"][1:]
            ),
            "`truth` is missing, or is not uint8 with a mask or picture for each frame": changed(truth=None),
        },
    ),
    "truth": Exercise(
        right=lambda: example(),
        parts=parts(2),
        seen=seen(truth_is_known),
        wrong={
            "fewer than three later frames have a true mask: nobody can say how well the object is followed": changed(
                truth=lambda case: void(case["truth"], range(3, 99))
            ),
            "`last_good` and `broken` must be frames with a true mask": changed(
                truth=lambda case: void(case["truth"], [case["card"]["broken"]])
            ),
            "the card's object is not in the mask of the first frame": changed(object=7),
            "`last_good` or `broken` is no frame of the clip, or `broken` is the first": changed(broken=99),
            "`last_good` of the card is empty": changed(last_good=None),
            "`broken` of the card is of another kind than the table says, or holds no plain values": changed(broken="the end"),
        },
    ),
    "before": Exercise(
        right=lambda: example(),
        parts=parts(3),
        seen=seen(before_is_a_track),
        wrong={
            "the tracker does not find these masks in this clip: track the clip as it lies in the folder, with stcn-small "
            "and vl.EveryNth(5), and save the masks as they are": changed(before=lambda case: case["after"]),
            "the first mask of `before` is not the one that was given": changed(
                before=lambda case: case["before"][::-1].copy()
            ),
            "`before` is missing, or is not uint8 with a mask or picture for each frame": changed(before=lambda case: []),
            "frames and masks do not fit together: one mask for each frame, of its size": changed(
                before=lambda case: case["before"][:, ::2, ::2]
            ),
            "the folder `case` could not be read": lambda: None,
        },
    ),
    "breaks": Exercise(
        right=lambda: example(),
        parts=parts(2),
        seen=seen(it_breaks),
        wrong={
            "`broken` is not broken: J of the object is above 0.4 there": changed(
                broken=lambda case: case["card"]["last_good"], last_good=0
            ),
            "`last_good` is not good: J of the object is below 0.5 there": changed(
                last_good=lambda case: case["card"]["broken"], broken=lambda case: worst(case)
            ),
            "`last_good` comes before `broken`": changed(
                broken=lambda case: case["card"]["last_good"], last_good=lambda case: case["card"]["broken"]
            ),
            "`last_good` and `broken` must be frames with a true mask": changed(
                truth=lambda case: void(case["truth"], [case["card"]["last_good"]])
            ),
            "the card's object is not in the mask of the first frame": changed(object=2),
        },
    ),
    "affinity": Exercise(
        right=lambda: example(),
        parts=parts(3),
        seen=seen(looks_there),
        wrong={
            "the query cell's largest weight lies elsewhere: copy what `looked_at` returns for it": changed(
                looked_at=lambda case: (case["card"]["looked_at"][0], 4, 4)
            ),
            "`looked_at` is right, and `weight` is not the largest weight of the query cell, a share of 1": changed(
                weight=100.0
            ),
            "the frame of `looked_at` was not in memory: see before.memory_frames(broken)": changed(
                looked_at=lambda case: (3, *case["card"]["looked_at"][1:])
            ),
            "`query` or `looked_at` lies outside the frame: x comes first, then y": changed(query=(100, 150)),
            "the query cell is not one that went wrong: take one whose label in `before` is false": lambda: honest_look(),
            "`looked_at` of the card is of another kind than the table says, or holds no plain values": changed(
                looked_at=(4, 4)
            ),
        },
    ),
    "numbers": Exercise(
        right=lambda: example(),
        parts=parts(2),
        seen=seen(numbers_are_true),
        wrong={
            "`j_before` is not the mean J of the object from `broken` on, over frames with a true mask": changed(
                j_before=0.123
            ),
            "`j_after` is not the mean J of the object from `broken` on, over frames with a true mask": changed(j_after=0.987),
            "the scores are means over all frames: take those from `broken` on": changed(
                j_before=lambda case: float(scores(case["truth"], case["before"], 1)[1:].mean()),
                j_after=lambda case: float(scores(case["truth"], case["after"], 1)[1:].mean()),
            ),
            "`after` is missing, or is not uint8 with a mask or picture for each frame": changed(after=None),
            "`j_after` of the card is empty": changed(j_after=None),
        },
    ),
    "card": Exercise(
        right=lambda: example(),
        parts=parts(2),
        seen=seen(card_is_filled),
        wrong={
            "`price` of the card is empty": changed(price=""),
            "the card is missing": changed(card="a card"),
            "a text of the card says too little: at least five words each": changed(remedy="more memory"),
            "`made` is neither 'filmed' nor 'rendered'": changed(made="found"),
            f"`cause` is none of {', '.join(CAUSES)}": changed(cause="bad luck"),
            "`query` of the card is of another kind than the table says, or holds no plain values": changed(query="the head"),
        },
    ),
}
