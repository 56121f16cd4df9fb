"""Training samples: three frames of a clip and their masks, drawn and augmented as STCN does (Cheng et al. 2021)."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Int64, UInt8
from torch import Tensor
from torch.utils.data import ConcatDataset, Dataset
from torchvision import tv_tensors
from torchvision.transforms import InterpolationMode, v2

from ..clip import IMAGENET_MEAN, IMAGENET_STD, Clip, annotations_beside
from ..errors import InputError
from ..masks import VOID
from .folders import ClipFolder

MAX_JUMPS = ((0.9, 5), (0.4, 25), (0.3, 20), (0.2, 15), (0.1, 10), (0.0, 5))  # (from this share of training on, frames)
TRIES = 5  # to find frames whose first shows an object


class TrainingSample(NamedTuple):
    """Three frames of a clip, in the order in which they are segmented; a DataLoader stacks them field by field.

    frames: float (3,3,H,W), ImageNet-normalised · masks: int64 (3,H,W), 0 background, 1 and 2 the objects · objects: how many
    (0 only where no try found a visible one) · name: of the clip.
    """

    frames: Float[Tensor, "3 3 H W"]
    masks: Int64[Tensor, "3 H W"]
    objects: int
    name: str


def max_jump(progress: float) -> int:
    """The largest number of frames from one frame of a sample to the next; progress: the share of training that is done.

    The curriculum of STM and STCN: 5, then 10, 15, 20, 25 from 10, 20, 30, 40 % on, and 5 again for the last tenth.
    """
    return next(jump for start, jump in MAX_JUMPS if progress >= start)


def three_frames(count: int, jump: int) -> list[int]:
    """Three different frames of `count`, in time's order or, half of the time, reversed; neighbours 1..jump frames apart.

    Both gaps are drawn first and then the start, evenly among all that fit. (STCN's released code draws 1..jump+1 and clamps at
    the end of the clip, where a frame may then come twice.)
    """
    longest = min(jump, (count - 1) // 2)
    first, second = torch.randint(1, longest + 1, (2,)).tolist()
    start = int(torch.randint(count - first - second, ()))
    frames = [start, start + first, start + first + second]
    return frames[::-1] if torch.rand(()) < 0.5 else frames


def choose_objects(masks: UInt8[Tensor, "3 H W"], most: int = 2) -> tuple[Int64[Tensor, "3 H W"], int]:
    """Keep at most two objects that the first frame shows, as ids 1 and 2; everything else, void too, becomes background."""
    visible = torch.bincount(masks[0].flatten(), minlength=256)[1:VOID].nonzero().flatten() + 1
    chosen = visible[torch.randperm(len(visible))[:most]]
    ids = torch.zeros(masks.shape, dtype=torch.int64)
    for new, old in enumerate(chosen, start=1):
        ids[masks == old] = new
    return ids, len(chosen)


class Augmentation:
    """STCN's augmentation: first one draw for all three frames, then one for each; masks go along and take nearest pixels.

    size: of the square crop, which is bicubic. The affine of each frame is bilinear, the one smooth mode that torchvision has
    for tensors (STCN: bicubic, with Pillow); what it uncovers is ImageNet's mean, 0 after normalising, and background.
    """

    def __init__(self, size: int = 384):
        self.clip_wise = v2.Compose(
            [
                v2.RandomHorizontalFlip(),
                v2.RandomResizedCrop(size, scale=(0.36, 1.0), interpolation=InterpolationMode.BICUBIC, antialias=True),
                v2.ToDtype(torch.float32, scale=True),  # images only; colours are faster in float, and never rounded
                v2.ColorJitter(brightness=0.1, contrast=0.03, saturation=0.03),
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
        self, frames: UInt8[Tensor, "3 3 H W"], masks: UInt8[Tensor, "3 H W"]
    ) -> tuple[Float[Tensor, "3 3 size size"], UInt8[Tensor, "3 size size"]]:
        """Frames 0..255 to normalised floats, and the masks that belong to them."""
        images, masks = self.clip_wise(tv_tensors.Image(frames), tv_tensors.Mask(masks))
        pairs = [self.frame_wise(tv_tensors.Image(image), tv_tensors.Mask(mask)) for image, mask in zip(images, masks)]
        images, masks = zip(*pairs)
        return torch.stack(images).as_subclass(Tensor), torch.stack(masks).as_subclass(Tensor)


class Triplets(Dataset[TrainingSample]):
    """Training samples from clips: item i is drawn from clip i modulo their number.

    source: `DAVIS`, `YouTubeVOS`, clip folders such as ROOT/JPEGImages/480p/NAME (of these only three frames are read), or any
    data set or list of `Clip`s. Only annotated frames are drawn; folders with fewer than three are left out.
    frame_step: how many video frames lie between two annotated ones, 5 for YouTube-VOS: divides the maximum jump.
    repeats: how often each clip counts per epoch. size: of the square crop.
    The same (seed, epoch, index) gives the same sample, with any number of workers (with another number of threads per process,
    frames may differ in the last digit of a float).
    """

    def __init__(
        self,
        source: Dataset[Clip] | Sequence[Clip | str | Path],
        *,
        frame_step: int = 1,
        repeats: int = 1,
        size: int = 384,
        seed: int = 0,
    ):
        self.clips = source
        if hasattr(source, "folder"):
            self.clips = [source.folder(name) for name in source.names]
        elif len(source) and isinstance(source[0], (str, Path)):
            self.clips = [ClipFolder(Path(path), annotations_beside(Path(path))) for path in source]
        if len(self.clips) and isinstance(self.clips[0], ClipFolder):
            pairs = [(clip, clip.pairs()) for clip in self.clips]
            self.clips = [(clip, files) for clip, files in pairs if len(files) >= 3]
        if not len(self.clips):
            raise InputError(f"{source!r} holds no clip with three annotated frames: training needs at least one")
        self.frame_step = frame_step
        self.repeats = repeats
        self.seed = seed
        self.augment = Augmentation(size)
        # shared memory: workers that outlive an epoch see what set_epoch writes
        self.state = torch.tensor([0, max(1, max_jump(0.0) // frame_step)]).share_memory_()

    def set_epoch(self, epoch: int, progress: float = 0.0) -> None:
        """Draw other samples from now on, with the maximum jump for this share of training; between epochs, for all workers."""
        self.state[0] = epoch
        self.state[1] = max(1, max_jump(progress) // self.frame_step)

    def __len__(self) -> int:
        return len(self.clips) * self.repeats

    def __getitem__(self, index: int) -> TrainingSample:
        if not 0 <= index < len(self):
            raise IndexError(f"sample {index} is outside 0..{len(self) - 1}")
        clip = self.clips[index % len(self.clips)]
        epoch, jump = self.state.tolist()
        with torch.random.fork_rng(devices=[]):  # torchvision draws from torch's global generator
            torch.manual_seed(int(np.random.SeedSequence([self.seed, epoch, index]).generate_state(1, np.uint64)[0] >> 1))
            for _ in range(TRIES):
                frames, masks = self.augment(*draw_frames(clip, jump))
                ids, objects = choose_objects(masks)
                if objects:
                    break
        name = clip.name if isinstance(clip, Clip) else clip[0].frames.name
        return TrainingSample(frames, ids, objects, name)


def draw_frames(
    clip: Clip | tuple[ClipFolder, list[tuple[Path, Path]]], jump: int
) -> tuple[UInt8[Tensor, "3 3 H W"], UInt8[Tensor, "3 H W"]]:
    """Three random annotated frames of a clip and their ids; of a clip on disk, nothing else is read."""
    if isinstance(clip, Clip):
        annotated = np.flatnonzero(clip.annotated)
        if len(annotated) < 3:
            raise InputError(f"clip '{clip.name}' has {len(annotated)} annotated frames, but a training sample takes three")
        chosen = annotated[three_frames(len(annotated), jump)]
        frames, masks = clip.frames[chosen], clip.masks[chosen]
    else:
        folder, pairs = clip
        read = [folder.read(*pairs[t]) for t in three_frames(len(pairs), jump)]
        if len({frame.shape for frame, _ in read}) > 1:
            raise InputError(f"the frames in {folder.frames} differ in size: all frames of a clip must have one size")
        frames, masks = (np.stack(part) for part in zip(*read))
    return torch.from_numpy(frames).movedim(-1, 1), torch.from_numpy(masks)


class MainTraining(ConcatDataset):
    """STCN's main training set: DAVIS five times beside YouTube-VOS, whose maximum jump is a fifth.

    davis, youtube_vos: any source that `Triplets` takes; the other arguments too are those of `Triplets`.
    """

    def __init__(
        self, davis: Dataset[Clip] | Sequence, youtube_vos: Dataset[Clip] | Sequence, *, size: int = 384, seed: int = 0
    ):
        super().__init__(
            [
                Triplets(davis, repeats=5, size=size, seed=2 * seed),
                Triplets(youtube_vos, frame_step=5, size=size, seed=2 * seed + 1),
            ]
        )

    def set_epoch(self, epoch: int, progress: float = 0.0) -> None:
        """As `Triplets.set_epoch`, for both."""
        for part in self.datasets:
            part.set_epoch(epoch, progress)
