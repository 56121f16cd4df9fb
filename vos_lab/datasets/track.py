"""Follow the objects of a whole data set: one clip after the other, shared out over processes, resumable."""

import hashlib
from collections.abc import Sequence
from pathlib import Path

from ..atomic import whole_file, whole_folder
from ..clip import Clip
from ..errors import InputError
from ..masks import resized, write_mask
from ..memory import MotionPrior
from ..models import faster, load_model
from ..progress import progress
from ..tracker import Tracker
from .davis import DAVIS
from .folders import ClipFolders
from .world import World
from .youtube_vos import YouTubeVOS


def track_dataset(
    dataset: str,
    root: str | Path,
    out: str | Path,
    model: str = "stcn-small",
    weights: str | Path | None = None,
    split: str | None = None,
    clips: Sequence[str] | None = None,
    prior: MotionPrior | None = None,
) -> None:
    """Write OUT/CLIP/FRAME.png, index masks at the size of the files, for every clip that OUT does not hold yet.

    Clips go whole to one process each; every clip starts from nothing, so the result does not depend on their number.
    dataset: davis-2016, davis-2017, youtube-vos, world (held-out rendered clips, which are first written to root). prior: as in
    Tracker. Raises InputError for unknown names and where OUT was made by another model, or with another prior.
    """
    from accelerate import PartialState

    state = PartialState()
    with state.main_process_first():  # one process renders the worlds, the others find them there
        source = open_dataset(dataset, root, split)
    names = list(dict.fromkeys(clips or source.names))
    if unknown := [name for name in names if name not in source.names]:
        raise InputError(
            f"{source!r}, and none is called {', '.join(unknown[:3])}: choose from {', '.join(source.names[:5])} ..."
        )
    tracker, out = Tracker(faster(load_model(model, weights, state.device)), prior=prior), Path(out)
    if state.is_main_process:
        made_by = [dataset, model]
        if weights and Path(weights).is_file():
            made_by.append(hashlib.sha256(Path(weights).read_bytes()).hexdigest()[:12])
        if prior:
            made_by.append(str(prior))
        claim(out, " ".join(made_by))
    state.wait_for_everyone()
    missing = [name for name in names if not (out / name).is_dir()]
    state.wait_for_everyone()  # all have looked before any writes
    mine = missing[state.process_index :: state.num_processes]
    for name in progress(mine, desc=f"tracking {dataset}", unit="clip"):
        write_track(out / name, source[name], tracker)
    state.wait_for_everyone()
    if state.is_main_process:
        print(f"{len(names)} clips in {out}, {len(missing)} of them new")


def write_track(folder: Path, clip: Clip, tracker: Tracker) -> None:
    """Whole or not at all: a clip that is there is finished."""
    masks = resized(tracker.run(clip).masks, clip.source_size or clip.size)
    with whole_folder(folder) as draft:
        for name, mask in zip(clip.frame_names, masks):
            write_mask(draft / f"{name}.png", mask)


def open_dataset(name: str, root: str | Path, split: str | None) -> ClipFolders:
    """The data set of this name; its validation split unless another is named."""
    if name in ("davis-2016", "davis-2017"):
        return DAVIS(root, year=int(name[-4:]), split=split or "val")
    if name == "youtube-vos":
        return YouTubeVOS(root, split=split or "valid")
    if name == "world":
        return held_out_worlds(Path(root))
    raise InputError(f"there is no data set '{name}' to track: choose davis-2016, davis-2017, youtube-vos, world")


def held_out_worlds(root: Path, count: int = 20) -> DAVIS:
    """World(0) to World(19), default knobs, 24 frames of 240x432, in DAVIS layout; no training of this kit uses these seeds."""
    listing = root / "ImageSets" / "2017" / "val.txt"
    if not listing.exists():
        for seed in progress(range(count), desc="rendering worlds", unit="clip"):
            World(seed).clip().save(root)
        with whole_file(listing) as draft:
            draft.write_text("".join(f"world-{seed}\n" for seed in range(count)), encoding="utf-8")
    return DAVIS(root, split="val")


def claim(out: Path, what: str) -> None:
    """Remember what fills this folder, so that clips of two models are never mixed."""
    out.mkdir(parents=True, exist_ok=True)
    note = out / "model.txt"
    if note.exists() and note.read_text(encoding="utf-8").strip() != what:
        raise InputError(
            f"{out} holds masks of '{note.read_text(encoding='utf-8').strip()}': choose another --out for '{what}'"
        )
    with whole_file(note) as draft:
        draft.write_text(what + "\n", encoding="utf-8")
