"""Training samples: a few frames of a clip and their masks, drawn and augmented as STCN does (Cheng et al. 2021)."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Int64, UInt8
from torch import Tensor
from torch.utils.data import Dataset
from torchvision import tv_tensors
from torchvision.transforms import InterpolationMode, v2

from ..clip import IMAGENET_MEAN, IMAGENET_STD, Clip, annotations_beside, normalise
from ..errors import InputError
from ..losses.discover import propose_regions
from ..masks import VOID
from .folders import ClipFolder
from .photos import Photos

TRIES = 5  # to find frames whose first shows an object


class TrainingSample(NamedTuple):
    """A few frames of a clip, in the order in which they are segmented; a DataLoader stacks them field by field.

    frames: float (t,3,H,W), ImageNet-normalised · masks: int64 (t,H,W), 0 background, 1 and 2 the objects · objects: how many
    (0 only where no try found a visible one) · regions: numbered, 0 none, where they were asked for, else without pixels ·
    name: of the clip.
    """

    frames: Float[Tensor, "t 3 H W"]
    masks: Int64[Tensor, "t H W"]
    objects: int
    regions: Int64[Tensor, "t h w"]
    name: str


def spaced_frames(count: int, frames: int, jump: int) -> list[int]:
    """So many different frames of `count`, in time's order or, half of the time, reversed; neighbours 1..jump frames apart.

    All gaps are drawn first and then the start, evenly among all that fit. (STCN's released code draws 1..jump+1 and clamps at
    the end of the clip, where a frame may then come twice.)
    """
    longest = min(jump, (count - 1) // (frames - 1))
    gaps = torch.randint(1, longest + 1, (frames - 1,))
    start = int(torch.randint(count - int(gaps.sum()), ()))
    chosen = [start, *(start + gaps.cumsum(0)).tolist()]
    return chosen[::-1] if torch.rand(()) < 0.5 else chosen


def choose_objects(masks: UInt8[Tensor, "t H W"], most: int = 2) -> tuple[Int64[Tensor, "t H W"], int]:
    """Keep at most two objects that the first frame shows, as ids 1 and 2; everything else, void too, becomes background."""
    visible = torch.bincount(masks[0].flatten(), minlength=256)[1:VOID].nonzero().flatten() + 1
    chosen = visible[torch.randperm(len(visible))[:most]]
    ids = torch.zeros(masks.shape, dtype=torch.int64)
    for new, old in enumerate(chosen, start=1):
        ids[masks == old] = new
    return ids, len(chosen)


class Augmentation:
    """STCN's augmentation: first one draw for all frames, then one for each; masks go along and take nearest pixels.

    size: of the square crop, which is bicubic. The affine of each frame is bilinear, the one smooth mode that torchvision has
    for tensors (STCN: bicubic, with Pillow); what it uncovers is ImageNet's mean, 0 after normalising, and background.
    colour: how much brightness, contrast and saturation of the clip change.
    """

    def __init__(self, size: int = 384, colour: tuple[float, float, float] = (0.1, 0.03, 0.03)):
        brightness, contrast, saturation = colour
        self.clip_wise = v2.Compose(
            [
                v2.RandomHorizontalFlip(),
                v2.RandomResizedCrop(size, scale=(0.36, 1.0), interpolation=InterpolationMode.BICUBIC, antialias=True),
                v2.ToDtype(torch.float32, scale=True),  # images only; colours are faster in float, and never rounded
                v2.ColorJitter(brightness=brightness, contrast=contrast, saturation=saturation),
                v2.RandomGrayscale(0.05),
            ]
        )
        fill = {tv_tensors.Image: list(IMAGENET_MEAN), tv_tensors.Mask: 0}
        self.frame_wise = v2.Compose(
            [
                v2.RandomAffine(degrees=15, shear=10, interpolation=InterpolationMode.BILINEAR, fill=fill),
                v2.ColorJitter(brightness=0.01, contrast=0.01, saturation=0.01),
                v2.Normalize(IMAGENET_MEAN, IMAGENET_STD),
            ]
        )

    def __call__(
        self, frames: UInt8[Tensor, "t 3 H W"], masks: UInt8[Tensor, "t H W"]
    ) -> tuple[Float[Tensor, "t 3 size size"], UInt8[Tensor, "t size size"]]:
        """Frames 0..255 to normalised floats, and the masks that belong to them."""
        images, masks = self.clip_wise(tv_tensors.Image(frames), tv_tensors.Mask(masks))
        pairs = [self.frame_wise(tv_tensors.Image(image), tv_tensors.Mask(mask)) for image, mask in zip(images, masks)]
        images, masks = zip(*pairs)
        return torch.stack(images).as_subclass(Tensor), torch.stack(masks).as_subclass(Tensor)


class Snippets:
    """A few augmented frames of a clip at a time, for training.

    source: `DAVIS`, `YouTubeVOS`, clip folders such as ROOT/JPEGImages/480p/NAME (of these only the frames drawn are read), or
    any data set or list of `Clip`s; of `Photos`, each sample is moved in a way of its own. Only annotated frames are drawn;
    folders with too few are left out.
    frame_step: how many video frames lie between two annotated ones, 5 for YouTube-VOS: divides the jump.
    frames: how many · size: of the square crop · objects: how many at most · colour: see `Augmentation` · augment=False: frames
    are square already, cropped and warped, as those of `Photos`.
    """

    def __init__(
        self,
        source: Dataset[Clip] | Sequence[Clip | str | Path],
        *,
        frame_step: int = 1,
        frames: int = 3,
        size: int = 384,
        objects: int = 2,
        colour: tuple[float, float, float] = (0.1, 0.03, 0.03),
        augment: bool = True,
        regions: bool = False,
    ):
        self.clips = source
        if hasattr(source, "folder"):
            self.clips = [source.folder(name) for name in source.names]
        elif len(source) and isinstance(source[0], (str, Path)):
            self.clips = [ClipFolder(Path(path), annotations_beside(Path(path))) for path in source]
        if len(self.clips) and isinstance(self.clips[0], ClipFolder):
            pairs = [(clip, clip.pairs()) for clip in self.clips]
            self.clips = [(clip, files) for clip, files in pairs if len(files) >= frames]
        if not len(self.clips):
            raise InputError(f"{source!r} holds no clip with {frames} annotated frames: training needs at least one")
        self.frame_step = frame_step
        self.frames = frames
        self.objects = objects
        self.regions = regions
        self.augment = Augmentation(size, colour) if augment else as_they_are

    def __len__(self) -> int:
        return len(self.clips)

    def draw(self, index: int, jump: int, seed: Sequence[int] | int) -> TrainingSample:
        """Frames of clip `index`, neighbours at most `jump` video frames apart.

        The same arguments give the same sample (with another number of threads, frames may differ in the last digit).
        """
        number = int(np.random.SeedSequence(seed).generate_state(1, np.uint64)[0]) >> 1
        clip = self.clips.clip(index, number) if isinstance(self.clips, Photos) else self.clips[index]
        with torch.random.fork_rng(devices=[]):  # torchvision draws from torch's global generator
            torch.manual_seed(number)
            for _ in range(TRIES):
                frames, masks = self.augment(*draw_frames(clip, self.frames, max(1, jump // self.frame_step)))
                ids, objects = choose_objects(masks, self.objects)
                if objects:
                    break
        name = clip.name if isinstance(clip, Clip) else clip[0].frames.name
        regions = propose_regions(frames) if self.regions else torch.zeros(len(frames), 0, 0, dtype=torch.int64)
        return TrainingSample(frames, ids, objects, regions, name)


def as_they_are(
    frames: UInt8[Tensor, "t 3 H W"], masks: UInt8[Tensor, "t H W"]
) -> tuple[Float[Tensor, "t 3 H W"], UInt8[Tensor, "t H W"]]:
    """In place of an `Augmentation`: frames normalised, nothing else."""
    return normalise(frames.movedim(1, -1)), masks


def draw_frames(
    clip: Clip | tuple[ClipFolder, list[tuple[Path, Path]]], frames: int, jump: int
) -> tuple[UInt8[Tensor, "t 3 H W"], UInt8[Tensor, "t H W"]]:
    """Random annotated frames of a clip and their ids; of a clip on disk, nothing else is read."""
    if isinstance(clip, Clip):
        annotated = np.flatnonzero(clip.annotated)
        if len(annotated) < frames:
            raise InputError(f"clip '{clip.name}' has {len(annotated)} annotated frames, but a training sample takes {frames}")
        chosen = annotated[spaced_frames(len(annotated), frames, jump)]
        images, masks = clip.frames[chosen], clip.masks[chosen]
    else:
        folder, pairs = clip
        read = [folder.read(*pairs[t]) for t in spaced_frames(len(pairs), frames, jump)]
        if len({image.shape for image, _ in read}) > 1:
            raise InputError(f"the frames in {folder.frames} differ in size: all frames of a clip must have one size")
        images, masks = (np.stack(part) for part in zip(*read))
    return torch.from_numpy(images).movedim(-1, 1), torch.from_numpy(masks)
