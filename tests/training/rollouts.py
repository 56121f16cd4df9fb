"""A small training step: its config and its samples."""

import torch

from vos_lab.training.config import Config, Stage


def config(**changes):
    return Config(model="stcn-tiny", stages=[Stage(data={"photos": 1}, steps=1)], **changes)


def samples(b=2, t=4, size=32):
    torch.manual_seed(0)
    masks = torch.zeros(b, t, size, size, dtype=torch.int64)
    for i in range(t):
        masks[:, i, 8:20, 4 + 2 * i : 16 + 2 * i] = 1
        masks[:, i, 22:30, 14:30] = 2
    return torch.randn(b, t, 3, size, size), masks, torch.full((b,), 2)
