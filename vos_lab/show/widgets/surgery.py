"""MemorySurgery: change what a tracker remembers and how it reads, and see what becomes of the mask."""

import zlib
from collections.abc import Callable
from dataclasses import replace

import matplotlib.pyplot as plt
import numpy as np
import traitlets
from jaxtyping import Bool, UInt8
from matplotlib.figure import Figure
from PIL import Image

from ...clip import Clip
from ...draw import overlay
from ...errors import InputError
from ...memory import EveryNth, Fifo, FirstAndLast
from ...metrics import frame_score
from ...models import AnyModel
from ...models.presets import LONG
from ...tracker import Tracker
from .base import Widget, jpeg
from .replay import Replay
from .worker import Worker

POLICIES = {  # name -> the policy of a number, and what the number is
    "every n-th frame": (lambda n: EveryNth(n), "n"),
    "queue": (lambda n: Fifo(n), "frames"),
    "first and last": (lambda n: FirstAndLast(), ""),
    "long-term": (lambda n: replace(LONG, every=n), "n"),
}
WISHES = ("removed", "policy", "number", "top_k", "kind", "temperature")


class MemorySurgery(Widget, script="surgery.js", needs=("chart.js",)):
    """Take memory frames out, repaint their masks, change policy, top-k, similarity or temperature: the mask of `frame` is
    drawn anew beside the one that was found, with J&F; `go_on` tracks the rest of the clip with the changed memory.

    tracker: or a model, with its own policy and options. The clip is tracked once, here; what the encoders said is kept (some
    MB a frame). Frames before the one looked at keep the masks that were found. `mask` is the new mask of the frame shown,
    `masks` (T,H,W) has all that are new. J&F is given for annotated frames. InputError for a frame that reads no memory.
    """

    about = (
        "What a tracker draws depends on what it remembers: earlier frames, each with its mask. Change this memory, or how it "
        "is read: one frame is drawn anew, on the left as it was found, on the right from the changed memory. J&F says how "
        "well a mask agrees with the true one; 1 is perfect."
    )

    # what is asked; set from either side
    frame = traitlets.Int().tag(sync=True)
    removed = traitlets.List(traitlets.Int()).tag(sync=True)
    policy = traitlets.Unicode("own").tag(sync=True)  # or one of POLICIES, with its number
    number = traitlets.Int(5).tag(sync=True)
    top_k = traitlets.Int().tag(sync=True)  # 0: all cells
    kind = traitlets.Unicode().tag(sync=True)
    temperature = traitlets.Float().tag(sync=True)
    # what is answered
    facts = traitlets.Dict().tag(sync=True)  # what does not change
    answer = traitlets.Dict().tag(sync=True)  # frame, both pictures (JPEG), memory, scores, words
    thumbs = traitlets.Dict().tag(sync=True)  # frame -> picture of the frame with the mask it is remembered with
    progress = traitlets.Dict().tag(sync=True)  # of going on
    sheet = traitlets.Dict().tag(sync=True)  # the memory frame that is being repainted

    def __init__(self, tracker: Tracker | AnyModel, clip: Clip, frame: int | None = None):
        self.worker = Worker()
        if getattr(tracker, "prior", None) is not None:
            raise InputError("a tracker with a prior cannot be operated on yet: leave out prior=")
        model = tracker.model if isinstance(tracker, Tracker) else tracker
        self.clip, self.replay = clip, Replay(model, clip, tracker.policy, **tracker.matching)
        super().__init__()
        self._found = list(self.replay.masks)  # masks as found, one object each: `is` tells whether it is shown
        self._new: dict[int, tuple[np.ndarray, list[int]]] = {}  # frame -> mask and memory, as things are now
        self._went_on = len(clip)  # the frame from which on memory has new masks
        self._stale = False  # whether these were drawn with another memory than is wished for now
        self._painted: dict[int, np.ndarray] = {}
        self._drawn: dict[int, np.ndarray] = {}  # frame -> the mask in its thumb
        first, last = self.replay.first + 1, len(clip) - 1
        self.frame = (first + last + 1) // 2 if frame is None else frame
        if not first <= self.frame <= last:
            raise InputError(f"frame={frame} reads no memory: choose one of {first}..{last}")
        self._before = [self._score(mask, t) for t, mask in enumerate(self.replay.masks)]
        options = tracker.matching
        self._own = {
            **{"removed": [], "policy": "own", "number": 5},
            "top_k": options.get("top_k") or 0,
            "kind": options.get("kind", "l2"),
            "temperature": float(options.get("temperature", 1.0)),
        }
        self.facts = {
            **{"about": self.about, "first": first, "last": last, "size": list(clip.size), "own": self._own},
            "ids": list(self.replay.first_seen),
            "kinds": ["l2", "dot", "cosine"] + ["anisotropic"] * hasattr(self.replay.found[first].features, "selection"),
            "policy": type(tracker.policy).__name__,
            "policies": {name: of for name, (_, of) in POLICIES.items()},
        }
        self.set_state(self._own)
        self._look(lambda: False)
        self.observe(self._changed, [*WISHES, "frame"])
        self.on_msg(self._asked)

    @property
    def mask(self) -> UInt8[np.ndarray, "H W"]:
        """The new mask of the frame that is shown."""
        return self._new[self.answer["frame"]][0]

    @property
    def masks(self) -> UInt8[np.ndarray, "T H W"]:
        """All masks, the new ones where there are any."""
        masks = self.replay.masks.copy()
        for t, (mask, _) in self._new.items():
            masks[t] = mask
        return masks

    def paint(self, frame: int, mask: UInt8[np.ndarray, "H W"] | None) -> None:
        """Remember `frame` with this mask of ids; None: with the one that was found."""
        if frame not in self.replay.found:
            raise InputError(f"frame={frame} was not tracked: choose one of {min(self.replay.found)}..{len(self.clip) - 1}")
        if mask is not None and mask.shape != self.clip.size:
            raise InputError(f"mask must be {self.clip.size} like the frames, got {mask.shape}")
        self.worker.stop()
        self.replay.paint(frame, mask)
        self._painted.pop(frame, None)
        if mask is not None:
            self._painted[frame] = mask
        self._renew()

    def reset(self) -> None:
        """Everything as it was found."""
        self.worker.stop()
        for frame in list(self._painted):
            self.replay.paint(frame, None)
        self._painted = {}
        for name, value in self._own.items():
            setattr(self, name, value)
        self._renew()

    def go_on(self) -> None:
        """Track the rest of the clip with the memory as it is now, beside the kernel's other work; `wait` for its end."""
        self.worker.ask(self._track_on)

    def stop(self) -> None:
        """Stop going on; what was tracked stays."""
        self.worker.stop()

    def wait(self) -> None:
        """Until everything that was asked for is answered."""
        self.worker.wait()

    def close(self) -> None:
        """Stop all work."""
        self.worker.stop()
        super().close()

    def twin(self) -> Figure:
        """Both masks of the frame, and J&F of all frames before and after."""
        t, found = self.answer["frame"], self.replay.masks
        figure, (left, right, curve) = plt.subplots(1, 3, figsize=(12, 2.9), width_ratios=(1.3, 1.3, 1), layout="constrained")
        for ax, mask, title in ((left, found[t], "as found"), (right, self.mask, "from the changed memory")):
            ax.imshow(hatched(overlay(self.clip.frames[t][None], mask[None])[0], mask != found[t]))
            ax.set_title(f"frame {t}, {title}")
            ax.set_axis_off()
        for values, style, label in ((self._before, "--", "as found"), (self._after(), "o-", "changed memory")):
            curve.plot(np.array(values, dtype=float), style, color="black", markersize=4, label=label)
        curve.set(xlabel="frame", title="J&F", ylim=(0, 1.05))
        curve.legend(fontsize=9)
        figure.suptitle(self.answer["words"], fontsize=10)
        return figure

    def _changed(self, change: dict) -> None:
        if change["name"] in WISHES:
            self._renew()
        else:
            self.worker.ask(self._look)

    def _renew(self) -> None:
        """What was drawn with another memory holds no longer."""
        self._stale = True
        self.worker.ask(self._look)

    def _asked(self, _, content: dict, buffers: list) -> None:
        """A message from the front end: a button, or a painted mask."""
        if content["ask"] == "paint":
            mask = np.frombuffer(buffers[0], dtype=np.uint8).reshape(self.clip.size).copy() if buffers else None
            self.paint(int(content["frame"]), mask)
        elif content["ask"] == "open":
            t = int(content["frame"])
            ids = zlib.compress(self._remembered_mask(t).tobytes())
            self.sheet = {"frame": t, "picture": jpeg(self.clip.frames[t], 90), "mask": ids}
        else:
            {"go on": self.go_on, "stop": self.stop, "reset": self.reset}[content["ask"]]()

    def _look(self, stopped: Callable[[], bool]) -> None:
        t = self.frame
        self._prepare()
        if t not in self._new:
            try:
                mask = self.replay.look(t)
            except InputError as error:
                self._refuse(error)
                return
            self._new[t] = mask, self.replay.remembered()
        if not stopped():
            self._show(t)

    def _track_on(self, stopped: Callable[[], bool]) -> None:
        start, last = self.frame, len(self.clip) - 1
        self._prepare()
        self._new = {t: new for t, new in self._new.items() if t < start}
        self._went_on = start
        try:
            for t, mask in enumerate(self.replay.go_on(start), start=start):
                self._new[t] = mask, self.replay.remembered()
                self.progress = {"frame": t, "start": start, "last": last, "running": True}
                self._show(t)
                if stopped():
                    break
        except InputError as error:
            self._refuse(error)
            return
        finally:
            self.progress = {**self.progress, "running": False}
        self._show(start)

    def _prepare(self) -> None:
        """Tell the replay what is wished for."""
        if self._stale:
            self._new, self._went_on, self._stale = {}, len(self.clip), False
        self.replay.removed = set(self.removed)
        self.replay.policy = self.replay.first_policy if self.policy == "own" else POLICIES[self.policy][0](self.number)
        self.replay.matching |= {"top_k": self.top_k or None, "kind": self.kind, "temperature": self.temperature}

    def _refuse(self, error: InputError) -> None:
        t = self.frame
        self._new[t] = self.replay.masks[t] * 0, self.replay.held()
        self._show(t, f"No mask: {error}.")

    def _show(self, t: int, words: str = "") -> None:
        """Send a frame with both masks."""
        (mask, held), found = self._new[t], self.replay.masks[t]
        before, after = self._before[t], self._score(mask, t)
        self._draw_thumbs(held)
        self.answer = {
            "frame": t,
            "found": jpeg(overlay(self.clip.frames[t][None], found[None])[0], 90),
            "now": jpeg(hatched(overlay(self.clip.frames[t][None], mask[None])[0], mask != found), 90),
            "memory": [{"frame": f, "out": f in self.removed, "painted": f in self._painted} for f in held],
            "long_term": sum(group.bank.long_term for group in self.replay.groups),
            "scores": [before, after],
            "before": self._before,
            "after": self._after(),
            "words": words or sentence(t, before, after, int((mask != found).sum())),
        }

    def _draw_thumbs(self, frames: list[int]) -> None:
        height, width = self.clip.size
        size = (160, round(160 * height / width))
        drawn = {}
        for t in frames:
            mask = self._remembered_mask(t)
            if self._drawn.get(t) is not mask:
                picture = Image.fromarray(overlay(self.clip.frames[t][None], mask[None])[0]).resize(size)
                drawn[str(t)], self._drawn[t] = jpeg(np.asarray(picture)), mask
        if drawn:
            self.thumbs = {**self.thumbs, **drawn}

    def _remembered_mask(self, t: int) -> UInt8[np.ndarray, "H W"]:
        if t in self._painted:
            return self._painted[t]
        if t >= self._went_on and t in self._new:
            return self._new[t][0]
        return self._found[t]

    def _score(self, mask: UInt8[np.ndarray, "H W"], t: int) -> float | None:
        """J&F of a frame: the mean over the objects that were given before it; None where the frame is not annotated."""
        ids = [i for i, seen in self.replay.first_seen.items() if seen < t]
        if not ids or not self.clip.annotated[t]:
            return None
        each = lambda masks: masks == np.array(ids, dtype=np.uint8)[:, None, None]  # (k,H,W)
        return frame_score(each(self.clip.masks[t]), each(mask))

    def _after(self) -> list[float | None]:
        return [self._score(self._new[t][0], t) if t in self._new else None for t in range(len(self.clip))]


def hatched(picture: UInt8[np.ndarray, "H W 3"], where: Bool[np.ndarray, "H W"]) -> UInt8[np.ndarray, "H W 3"]:
    """The picture with black and white stripes where pixels changed."""
    y, x = np.indices(where.shape)
    stripe = (x + y) % 8
    picture = picture.copy()
    picture[where & (stripe < 2)] = 0
    picture[where & ((stripe == 2) | (stripe == 3))] = 255
    return picture


def sentence(t: int, before: float | None, after: float | None, changed: int) -> str:
    """What became of a frame, in words."""
    if not changed:
        return f"Frame {t}: the mask is the same, pixel by pixel."
    pixels = f"{changed:,} pixels changed"
    if before is None:
        return f"Frame {t}: {pixels}; it has no true mask to be scored against."
    verdict = "better" if after > before + 0.0005 else "worse" if after < before - 0.0005 else "as good"
    return f"Frame {t}: {pixels}; J&F {before:.3f} before, {after:.3f} now: {verdict} ({after - before:+.3f})."
