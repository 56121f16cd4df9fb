"""How good is the model now? J&F on held-out clips, shared out over processes."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import nn

from ..clip import Clip
from ..datasets.davis import DAVIS
from ..datasets.world import World
from ..metrics import evaluate
from ..tracker import Tracker
from .config import Config
from .curriculum import given


def validation_clips(config: Config) -> dict[str, list[Clip]]:
    """group -> clips. Worlds of seeds that training never uses, small; named clips of DAVIS, every second frame."""
    groups = {}
    if config.validation_worlds:
        groups["world"] = [World(seed).clip(16, (120, 216)) for seed in range(config.validation_worlds)]
    if config.validation_clips:
        davis = DAVIS(given(config.davis, "davis"))
        groups["real"] = [davis.folder(name).load()[::2] for name in config.validation_clips]
    return groups


@torch.no_grad()
def validate(model: nn.Module, groups: dict[str, Sequence[Clip]], accelerator=None) -> dict[str, float]:
    """group -> mean J&F over its clips."""
    was_training = model.training
    model.eval()
    process, processes = (accelerator.process_index, accelerator.num_processes) if accelerator else (0, 1)
    jobs = [(group, clip) for group, clips in groups.items() for clip in clips][process::processes]
    found = [(group, float(evaluate(Tracker(model).run(clip).masks, clip.masks).JF)) for group, clip in jobs]
    if processes > 1:
        from accelerate.utils import gather_object

        found = gather_object(found)
    model.train(was_training)
    return {group: float(np.mean([score for g, score in found if g == group])) for group in groups}
