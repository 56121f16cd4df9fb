"""TrainingMonitor: a training seen from its folder while it runs, in this process or another."""

import threading
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import traitlets
from jaxtyping import UInt8
from matplotlib.figure import Figure
from torch import nn

from ...clip import Clip
from ...draw import overlay
from ...errors import InputError
from ...metrics import evaluate
from ...models import load_model
from ...models.presets import build
from ...tracker import Tracker
from ...training import checkpoint
from ...training.config import load_config
from ...training.log import Progress, Tail, progress_of
from ..training import training_figure
from .base import Widget, jpeg
from .worker import Worker

POINTS = 400  # of a curve, at most
PATIENCE = 600.0  # seconds without a sign of an open view after which nobody is taken to watch


class TrainingMonitor(Widget, script="monitor.js", needs=("chart.js",)):
    """Losses, validation J&F and a sample of a run, read from its folder (`vos-lab train CONFIG --out FOLDER`).

    The log is looked at every `every` seconds while a view is open, and no more once the run has ended. clip: what the newest
    weights are tried on, by the button and every `sample_every` seconds at most; a short sample that ships, unless given.
    """

    about = traitlets.Unicode(
        "A training while it runs: the loss (the error in training) should fall, and J&F rise: how well masks agree with the "
        "true ones, on clips that are not trained on; 1 is perfect. The picture shows what the newest weights make of such a "
        "clip, from its first mask alone."
    ).tag(sync=True)

    words = traitlets.Unicode().tag(sync=True)
    state = traitlets.Unicode().tag(sync=True)
    losses = traitlets.List().tag(sync=True)  # [step, value]
    scores = traitlets.Dict().tag(sync=True)  # name -> [[step, value], ...]
    steps = traitlets.Int().tag(sync=True)
    sample = traitlets.Dict().tag(sync=True)  # picture (JPEG) and words

    def __init__(self, folder: str | Path, clip: Clip | None = None, every: float = 2.0, sample_every: float = 120.0):
        self.worker, self._closed, self._thread, self._seen = Worker(), threading.Event(), None, 0.0
        self.folder, self.clip, self.every, self.sample_every = Path(folder), clip, every, sample_every
        if self.folder.is_file():
            raise InputError(f"{folder} is a file: give the folder of a run, --out of vos-lab train")
        super().__init__()
        self.tail = Tail(self.folder)
        self.set_trait("sample", {"words": "no sample yet"})
        self._picture: UInt8[np.ndarray, "H W 3"] | None = None
        self._sampled = 0.0  # when
        self.look()
        self.on_msg(self._asked)

    def look(self) -> Progress:
        """Take in what the run has written since the last look."""
        if self.tail.look():
            self.losses = shortened([(r["step"], r["total"]) for r in self.tail.records if "total" in r])
            names = dict.fromkeys(name for r in self.tail.records for name in r if name.startswith("J&F"))
            self.scores = {name: [[r["step"], r[name]] for r in self.tail.records if name in r] for name in names}
        config = self.folder / "config.yaml"
        if not self.steps and config.exists():
            self.steps = load_config(config).steps
        now = progress_of(self.folder, self.tail.records, self.steps)
        self.words, self.state = str(now), now.state
        return now

    def watch(self) -> None:
        """Begin to look at the folder again and again; also said by each view, now and then."""
        self._seen = time.monotonic()
        if self._thread is None or not self._thread.is_alive():
            self._closed.clear()
            self._thread = threading.Thread(target=self._watch, daemon=True)
            self._thread.start()

    def draw_sample(self) -> None:
        """Try the newest weights on the clip, beside the kernel's other work; `wait` for the end."""
        self.worker.ask(self._sample)

    def wait(self) -> None:
        self.worker.wait()

    def leave(self) -> None:
        """Stop looking, until a view opens again."""
        self._closed.set()
        if self._thread is not None:
            self._thread.join()

    def close(self) -> None:
        self.leave()
        self.worker.stop()
        super().close()

    def twin(self) -> Figure:
        figure = training_figure(self.losses, self.scores, self._picture, self.sample["words"])
        figure.suptitle(self.words, fontsize=10)
        return figure

    def _repr_mimebundle_(self, **options):
        self.watch()
        return super()._repr_mimebundle_(**options)

    def _watch(self) -> None:
        while time.monotonic() - self._seen < PATIENCE:
            now = self.look()
            due = time.monotonic() - self._sampled > self.sample_every or now.state == "ended"
            if due and newest(self.folder) and self.sample.get("of") != stamp(newest(self.folder)):
                self.draw_sample()
            if self._closed.wait(self.every) or now.state == "ended":
                return

    def _asked(self, _, content: dict, buffers: list) -> None:
        {"open": self.watch, "leave": self.leave, "sample": self.draw_sample}[content["ask"]]()

    def _sample(self, stopped: Callable[[], bool]) -> None:
        path = newest(self.folder)
        self._sampled = time.monotonic()
        if path is None:
            self.sample = {"words": "There are no weights yet: the run has written no checkpoint."}
            return
        try:
            model, at = weights_of(path)
        except InputError as error:
            self.sample = {**self.sample, "words": str(error)}
            return
        self.clip = self.clip or short_clip()
        clip = self.clip
        masks = Tracker(model).run(clip).masks
        self._picture = overlay(clip.frames[-1:], masks[-1:])[0]
        words = f"{at}: J&F {evaluate(masks, clip.masks).JF:.2f} on '{clip.name}'; its last frame"
        self.sample = {"picture": jpeg(self._picture, 85), "words": words, "of": stamp(path)}


def newest(folder: Path) -> Path | None:
    """The finished weights, or the last checkpoint; None where there is neither yet."""
    found = [*folder.glob("*.safetensors"), *folder.glob("checkpoint.pt")]
    return max(found, key=lambda path: path.stat().st_mtime, default=None)


def stamp(path: Path) -> list:
    """Which state of which file."""
    return [path.name, path.stat().st_mtime]


def weights_of(path: Path) -> tuple[nn.Module, str]:
    """The model as a run would keep it now (averaged, where it averages), and at which step that was."""
    config = load_config(path.parent / "config.yaml")
    if path.suffix == ".safetensors":
        return load_model(config.model, weights=path), "the finished weights"
    state = checkpoint.load(path)
    prefix, kept = ("module.", state["average"]) if state["average"] else ("model.", state["rollout"])
    model = build(config.model)
    model.load_state_dict({name.removeprefix(prefix): x for name, x in kept.items() if name.startswith(prefix)})
    return model.eval(), f"step {state['step']}"


def short_clip() -> Clip:
    from ...datasets import samples

    return samples.load("walk")[::3].resize(short_side=120)


def shortened(points: list[tuple[int, float]]) -> list[list[float]]:
    """At most POINTS points: each the mean of some that follow each other."""
    group = -(-len(points) // POINTS) or 1
    return [np.mean(points[i : i + group], axis=0).tolist() for i in range(0, len(points), group)]
