"""Out of sight for long: which policies find an object again, and what a bounded memory costs over 300 frames, as
`vos-lab bench away` measures them."""

from pathlib import Path

import numpy as np

from ..clip import Clip
from ..datasets.world import World
from ..errors import InputError
from ..memory import EveryNth, LongTerm, Policy
from ..metrics import evaluate, region_similarity, text_table
from ..models import AnyModel
from ..progress import progress
from ..table import read_table, write_table
from ..tracker import Tracker
from .memory import BOUNDED

POLICIES = BOUNDED | {
    "LongTerm of XMem": LongTerm(),
    "LongTerm, large": LongTerm(prototypes=4096, max_long_term=40_000),  # chosen on other worlds, 3100 to 3102
    "EveryNth(5)": EveryNth(5),
}
REMEMBER_MOST = ["LongTerm", "LongTerm of XMem", "LongTerm, large", "EveryNth(5)"]
MEASURES = ("J&F", "before", "marked", "after")
FIELDS = ("group", "policy", "clip", "frames", *MEASURES)
FIRST_WORLD = 3000  # no training and no other experiment renders these


def drawn_out(clip: Clip, hidden: int) -> Clip:
    """A clip whose one object leaves and returns, with the time that it is away made `hidden` frames long or a little more:
    those frames go forth and back."""
    gone = absence(clip.masks > 0).tolist()
    places = list(gone)
    while len(places) < hidden:
        places += [*gone[-2::-1], *gone[1:]]
    order = [*range(gone[0]), *places, *range(gone[-1] + 1, len(clip))]
    return Clip(clip.frames[order], clip.masks[order], clip.name)


def absence(seen: np.ndarray) -> np.ndarray:
    """From the masks (T,H,W) of an object, True where it is: the frames of the longest time that it is away."""
    gone = np.flatnonzero(~seen.any((1, 2)))
    spells = np.split(gone, np.flatnonzero(np.diff(gone) > 1) + 1)
    longest = max(spells, key=len)
    if len(longest) < 2 or longest[0] < 2 or longest[-1] == len(seen) - 1:
        raise InputError("clip must show its object in its first and last frames, and not in two or more frames between")
    return longest


def leave_and_return(seed: int, size: tuple[int, int], hidden: int) -> Clip:
    """The clips of notebook 05, with the object away for as long as that."""
    return drawn_out(World(seed, leaving=1.0, occlusion=0.0, camera=0.2, similarity=0.3).clip(48, size, objects=1), hidden)


def measure(model: AnyModel, policy: Policy, clip: Clip, away: bool) -> dict[str, float]:
    """J&F of a clip; where its object is away for a time also J before, the share of frame marked meanwhile, and J after."""
    masks = Tracker(model, policy).run(clip).masks
    scores = {"J&F": evaluate(masks, clip.masks).JF}
    if not away:
        return scores
    gone = absence(clip.masks > 0)
    j = region_similarity(clip.masks > 0, masks > 0)
    phases = {"before": j[1 : gone[0]].mean(), "marked": (masks[gone] > 0).mean(), "after": j[gone[-1] + 1 :].mean()}
    return scores | {name: float(x) for name, x in phases.items()}


def bench_away(model: AnyModel, count: int, size: tuple[int, int], hidden: int, length: int, table: Path) -> list[dict]:
    """All policies on `count` clips that are away for `hidden` frames, and those that remember most on as many of `length`
    frames: rows to the table (CSV), which grows clip by clip. What it holds already is not run again."""
    rows = read_rows(table)
    held = {(row["group"], row["policy"], row["clip"]) for row in rows}
    for seed in progress(range(FIRST_WORLD, FIRST_WORLD + count), desc="away", unit="world"):
        for group, policies in ((f"away {hidden}", list(POLICIES)), (f"length {length}", REMEMBER_MOST)):
            missing = [name for name in policies if (group, name, f"world-{seed}") not in held]
            if not missing:
                continue
            away = group.startswith("away")
            clip = leave_and_return(seed, size, hidden) if away else World(seed).clip(length, size, objects=1)
            for name in missing:
                row = dict(group=group, policy=name, clip=f"world-{seed}", frames=len(clip))
                rows.append({**dict.fromkeys(MEASURES, float("nan")), **row, **measure(model, POLICIES[name], clip, away)})
                write_table(table, FIELDS, rows, digits=5)
    return rows


def read_rows(table: Path) -> list[dict]:
    """The rows of such a table, measures as numbers."""
    return [{**row, **{name: float(row[name]) for name in MEASURES}} for row in read_table(table)]


def summary(rows: list[dict]) -> str:
    """For each group and policy the mean of each measure."""
    lines = []
    for group in dict.fromkeys(row["group"] for row in rows):
        for policy in POLICIES:
            own = [row for row in rows if (row["group"], row["policy"]) == (group, policy)]
            if own:
                means = [np.mean([row[name] for row in own]) for name in MEASURES]
                lines.append([group, policy, str(len(own)), *("" if np.isnan(x) else f"{x:.3f}" for x in means)])
    return text_table(["group", "policy", "clips", *MEASURES], lines)
