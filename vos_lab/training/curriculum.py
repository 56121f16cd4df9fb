"""What is trained on, and when: sample number i of a run is one and the same, whoever draws it and however often."""

import os
import zlib
from collections.abc import Callable, Iterable, Iterator
from functools import lru_cache, partial
from pathlib import Path

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset

from ..atomic import whole_file
from ..clip import Clip
from ..datasets.collage import Collage
from ..datasets.cutouts import ENDINGS
from ..datasets.sampling import Snippets, TrainingSample
from ..datasets.world import World
from ..errors import InputError
from ..progress import progress
from .config import Config, Stage

FIRST_SEED = 10_000  # training renders worlds from this seed on; those below are for validation and tests
RENDERING = 1  # one more when clips of the same seed become others: those on disk are then rendered anew


def random_world(easy: float, hard: float, seed: int) -> World:
    """A world whose knobs are drawn between `easy` and `hard` of their ranges: 0 is the lowest value, 1 the highest."""
    rng = np.random.default_rng([seed, zlib.crc32(b"random world")])
    knobs = {}
    for name, about in World.knobs().items():
        value = about["low"] + rng.uniform(easy, hard) * (about["high"] - about["low"])
        knobs[name] = round(value) if name == "distractors" else value
    knobs["late"] = 0.0  # objects that the first frame does not show are not trained on
    knobs["noise"] *= 0.25  # a standard deviation of 0.2 is for seeing what breaks
    return World(seed, **knobs)


def world_clip(easy: float, hard: float, length: int, size: int, photographs: str, seed: int) -> Clip:
    return random_world(easy, hard, seed).clip(length, (size, size), objects=1 + seed % 3)


def photo_clip(length: int, size: int, photographs: str, seed: int) -> Clip:
    from ..datasets.photos import Photos

    return Photos(length=length, size=(size, size), seed=seed, count=1)[0]


def collage_clip(hardness: float, length: int, size: int, photographs: str, seed: int) -> Clip:
    return collages(photographs, length, size, hardness)[seed]


@lru_cache
def collages(photographs: str, length: int, size: int, hardness: float) -> Collage:
    return Collage(photographs or None, length=length, size=(size, size), count=10**9, hardness=hardness)


RENDERED: dict[str, Callable[[int, int, str, int], Clip]] = {  # length, size, photographs, seed -> clip
    "photos": photo_clip,
    "collage-easy": partial(collage_clip, 0.2),
    "collage": partial(collage_clip, 0.5),
    "collage-hard": partial(collage_clip, 1.0),
    "world-easy": partial(world_clip, 0.0, 0.4),
    "world": partial(world_clip, 0.1, 0.7),
    "world-hard": partial(world_clip, 0.3, 0.9),
}
SOURCES = (*RENDERED, "davis", "youtube-vos", "static")


class RenderedClips(Dataset[Clip]):
    """Clips that are rendered once and then read from disk, since one training sample shows a few frames of one: rendering each
    anew would cost more than the training step. What is there already is not rendered again."""

    def __init__(self, source: str, count: int, length: int, size: int, photographs: str, workers: int = 0):
        cache = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "vos_lab" / f"rendered-{RENDERING}"
        pictures = f"-{fingerprint(Path(photographs))}" if photographs and source.startswith("collage") else ""
        self.place = cache / f"{source}-{length}x{size}x{size}{pictures}"
        self.paths = [self.place / f"{FIRST_SEED + i}.npz" for i in range(count)]
        missing = [FIRST_SEED + i for i, path in enumerate(self.paths) if not path.is_file()]
        if missing:
            rendering = Renderer(partial(RENDERED[source], length, size, photographs), self.place, missing)
            rendered = clear_errors(DataLoader(rendering, batch_size=None, num_workers=workers))
            for _ in progress(rendered, desc=f"rendering {source}", unit="clip", total=len(missing)):
                pass

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: int) -> Clip:
        if not 0 <= index < len(self):
            raise IndexError(f"clip {index} is outside 0..{len(self) - 1}")
        with np.load(self.paths[index]) as arrays:
            return Clip(arrays["frames"], arrays["masks"], name=f"{self.place.name}-{self.paths[index].stem}")


class Renderer(Dataset[int]):
    """Item i renders the clip of seed i into a file; a DataLoader's workers do so side by side."""

    def __init__(self, render: Callable[[int], Clip], folder: Path, seeds: list[int]):
        self.render, self.folder, self.seeds = render, folder, seeds

    def __len__(self) -> int:
        return len(self.seeds)

    def __getitem__(self, index: int) -> int:
        clip = self.render(self.seeds[index])
        with whole_file(self.folder / f"{self.seeds[index]}.npz") as draft:
            np.savez(draft, frames=clip.frames, masks=clip.masks)
        return self.seeds[index]


def fingerprint(folder: Path) -> str:
    """Of the names and sizes of the photographs in it."""
    files = sorted((p.name, p.stat().st_size) for p in folder.rglob("*") if p.suffix.lower() in ENDINGS)
    return f"{zlib.crc32(repr(files).encode()):08x}"


def clear_errors(batches: Iterable) -> Iterator:
    """What a DataLoader gives; an InputError of a worker comes as the sentence that it was, without the worker's traceback."""
    try:
        yield from batches
    except InputError as error:
        raise InputError(str(error).strip().splitlines()[-1].split("InputError: ")[-1]) from None


class Curriculum(Dataset[TrainingSample]):
    """All samples of a run, in order: stage by stage, and in each stage epoch by epoch through its clips, shuffled anew.

    A sample depends on its number and the config alone. So a run that was killed goes on where it was, and any number of
    workers and processes sees the same data.
    """

    def __init__(self, config: Config):
        self.config = config
        self.stages = [MixedStage(stage, config, number) for number, stage in enumerate(config.stages)]
        self.ends = np.cumsum([stage.steps * stage.batch for stage in config.stages])

    def __len__(self) -> int:
        return int(self.ends[-1])

    def __getitem__(self, index: int) -> TrainingSample:
        if not 0 <= index < len(self):
            raise IndexError(f"sample {index} is outside 0..{len(self) - 1}")
        number = int(np.searchsorted(self.ends, index, side="right"))
        return self.stages[number].draw(index - (int(self.ends[number - 1]) if number else 0))

    def batches(self, start: int, process: int = 0, processes: int = 1) -> list[range]:
        """Which samples this process takes at each step from `start` on: an equal share of each batch."""
        shares, first, step = [], 0, 0
        for stage in self.config.stages:
            share = stage.batch // processes
            for _ in range(stage.steps):
                if step >= start:
                    shares.append(range(first + process * share, first + (process + 1) * share))
                first, step = first + stage.batch, step + 1
        return shares


class MixedStage:
    """One stage: the sources and how they are mixed."""

    def __init__(self, stage: Stage, config: Config, number: int):
        self.stage, self.seed = stage, (config.seed, number)
        self.snippets = [
            Snippets(
                source(name, config, stage),
                frame_step=5 if name == "youtube-vos" else 1,
                frames=stage.frames,
                size=stage.size,
                objects=stage.objects,
                colour=tuple(stage.colour),
                augment=name != "static",  # these are warped already
                regions=config.discovered and config.object_level > 0,
            )
            for name in stage.data
        ]
        shares = zip(self.snippets, stage.data.values())
        self.clips = [(i, clip) for i, (snippets, times) in enumerate(shares) for clip in list(range(len(snippets))) * times]
        self.epoch, self.order = -1, np.zeros(0, dtype=np.int64)

    def draw(self, index: int) -> TrainingSample:
        epoch, place = divmod(index, len(self.clips))
        if epoch != self.epoch:
            self.epoch, self.order = epoch, np.random.default_rng([*self.seed, epoch]).permutation(len(self.clips))
        which, clip = self.clips[self.order[place]]
        done = index / (self.stage.steps * self.stage.batch)
        jump = next(jump for start, jump in reversed(self.stage.jumps.items()) if done >= start)
        return self.snippets[which].draw(clip, jump, [*self.seed, index])


def source(name: str, config: Config, stage: Stage) -> Dataset[Clip]:
    """A source of clips by its name in a config."""
    if name in RENDERED:
        count = config.rendered.get(name, 0)
        if count < 1:
            raise InputError(f"the source '{name}' is rendered: say how many clips with rendered.{name}=500")
        return RenderedClips(name, count, config.rendered_length, config.rendered_size, config.photographs, config.workers)
    if name == "davis":
        from ..datasets.davis import DAVIS

        davis = DAVIS(given(config.davis, "davis"))
        if unknown := set(config.leave_out) - set(davis.names):
            raise InputError(f"leave_out names {', '.join(sorted(unknown))}, which {davis!r} does not hold")
        davis.names = [clip for clip in davis.names if clip not in config.leave_out]
        return davis
    if name == "youtube-vos":
        from ..datasets.youtube_vos import YouTubeVOS

        return YouTubeVOS(given(config.youtube_vos, "youtube_vos"), short_side=480)
    if name == "static":
        from ..datasets.photos import Photos

        return Photos(given(config.static, "static"), length=stage.frames, size=(stage.size, stage.size), seed=config.seed)
    raise InputError(f"there is no source '{name}': choose from {', '.join(SOURCES)}")


def given(folder: str, name: str) -> str:
    if not folder:
        raise InputError(f"the folder of this data set is not given: add {name}=FOLDER")
    return folder


def loader(config: Config, curriculum: Curriculum, start: int, process: int, processes: int) -> DataLoader:
    """Batches from step `start` on, loaded by workers while the step before runs."""
    for number, stage in enumerate(config.stages):
        if stage.batch % (processes * config.accumulate):
            raise InputError(
                f"stage {number}: a batch of {stage.batch} cannot be shared out evenly: it must be a multiple of "
                f"{processes} processes x accumulate={config.accumulate}"
            )
    return DataLoader(
        curriculum,
        batch_sampler=curriculum.batches(start, process, processes),
        num_workers=config.workers,
        pin_memory=torch.cuda.is_available(),
        prefetch_factor=4 if config.workers else None,
    )
