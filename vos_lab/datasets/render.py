"""From surfaces to pixels: layers over one another, motion blur, light, noise."""

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float, Integer, Num, UInt8
from torch import Tensor

from .truth import Layer

CHUNK = 24          # instants composed at a time: bounds the memory


def render(
    world, surfaces: Sequence[Layer], times: Num[np.ndarray, "T"], size: tuple[int, int], device: torch.device | str
) -> tuple[UInt8[np.ndarray, "T H W 3"], UInt8[np.ndarray, "T H W"]]:
    """Frames, and which surface is on top at each pixel when the shutter is half open."""
    surfaces = [Layer(s.pose, s.raster.to(device), s.extent, s.object_id, s.name, s.endless) for s in surfaces]
    instants = shutter_instants(world, min(size))
    frames, tops = [], []
    for part in np.array_split(np.asarray(times, dtype=np.float64), -(-len(times) * len(instants) // CHUNK)):
        moments = (part[:, None] + instants).reshape(-1)                        # (t * s,)
        colours, top = compose(surfaces, moments, size, device)                 # (t * s, 3, H, W), (t * s, H, W)
        colours = colours.unflatten(0, (len(part), len(instants))).mean(1)      # (t, 3, H, W)
        if world.lighting:
            colours = colours * light(world, part, size, device)
        if world.noise:
            colours = colours + sensor_noise(world, part, size).to(device)
        frames.append((colours.clamp(0, 1) * 255 + 0.5).to(torch.uint8).permute(0, 2, 3, 1).cpu())
        tops.append(top[len(instants) // 2 :: len(instants)].cpu())
    return torch.cat(frames).numpy(), torch.cat(tops).numpy()


def shutter_instants(world, short_side: int) -> Float[np.ndarray, "s"]:
    """When within a frame's exposure to look: instants about two pixels of fast motion apart, one of them in the middle.

    Blur of less than a pixel and a half is not drawn: textures are softer than that, and it would cost three renderings.
    """
    fast = (world.speed + 0.02 * world.camera + 0.005) * short_side * world.blur        # pixels while the shutter is open
    count = 1 if fast < 1.5 else 2 * min(4, max(1, round(fast / 4))) + 1
    return world.blur * ((np.arange(count) + 0.5) / count - 0.5)


def compose(
    surfaces: Sequence[Layer], times: Float[np.ndarray, "T"], size: tuple[int, int], device: torch.device | str
) -> tuple[Float[Tensor, "T 3 H W"], UInt8[Tensor, "T H W"]]:
    """Paint the surfaces over one another at instants, each only in a window around it."""
    height, width = size
    colours = torch.zeros(len(times), 3, height, width, device=device)
    top = torch.zeros(len(times), height, width, dtype=torch.uint8, device=device)
    for number, surface in enumerate(surfaces):
        pose = surface.pose(times)
        shown, corner, (h, w) = windows(surface, pose, size)
        if not len(shown):
            continue
        pose = surface.pose(times[shown.numpy()]).to(device, torch.float32)
        x = (corner[:, 0, None] + torch.arange(w)).to(device, torch.float32)[:, None, :]   # (t, 1, w)
        y = (corner[:, 1, None] + torch.arange(h)).to(device, torch.float32)[:, :, None]   # (t, h, 1)
        paint = surface.sample(torch.stack(pose.back(x, y), dim=-1))                        # (4, t, h, w)
        if surface.endless:
            colours = paint[:3].transpose(0, 1).contiguous()
            continue
        scale = torch.linalg.det(pose.after[:, :, :2]).abs().sqrt()                         # pixels per surface unit
        alpha = (paint[3] * scale.view(-1, 1, 1) + 0.5).clamp(0, 1)                         # one pixel of soft edge
        on_top = paint[3] > 0
        for i, t in enumerate(shown.tolist()):
            left, above = corner[i].tolist()
            rows, columns = slice(above, above + h), slice(left, left + w)
            colours[t, :, rows, columns].lerp_(paint[:3, i], alpha[i])
            top[t, rows, columns].masked_fill_(on_top[i], number)
    return colours, top


def windows(
    surface: Layer, pose, size: tuple[int, int]
) -> tuple[Integer[Tensor, "t"], Integer[Tensor, "t 2"], tuple[int, int]]:
    """Of T times, those that show the surface; the corner (x, y) of a window around it at each; the windows' size."""
    height, width = size
    times = len(pose.after)
    if surface.endless:
        return torch.arange(times), torch.zeros(times, 2, dtype=torch.int64), (height, width)
    box = torch.linspace(-1, 1, 9, dtype=torch.float64)
    box = torch.stack(torch.meshgrid(box * surface.extent[0], box * surface.extent[1], indexing="xy"), dim=-1).view(1, -1, 2)
    spread = pose.to_frame(box.expand(times, -1, -1))                                       # (T, 81, 2)
    low, high = spread.amin(1).floor().long() - 3, spread.amax(1).ceil().long() + 3         # bent sides may bulge a little
    limit = torch.tensor([width, height])
    shown = ((high > 0) & (low < limit)).all(1).nonzero()[:, 0]
    if not len(shown):
        return shown, low[shown], (0, 0)
    low, high = low[shown].clamp(min=0), torch.minimum(high[shown], limit)
    w, h = (high - low).amax(0).tolist()
    return shown, torch.minimum(low, limit - torch.tensor([w, h])), (h, w)


def light(world, times: Float[np.ndarray, "T"], size: tuple[int, int], device: torch.device | str) -> Float[Tensor, "T 3 H W"]:
    """What to multiply the colours with: a slow change of strength and tint, and a soft shadow that sweeps across."""
    rng = world.stream("light")
    wave = lambda strength: strength * np.sin(rng.uniform(0.1, 0.25) * times + rng.uniform(0, 2 * np.pi))    # (T,)
    gain = wave(0.25) + np.stack([wave(0.08) for _ in range(3)])               # (3, T)
    angle, width, at, rate = rng.uniform(0, 2 * np.pi), rng.uniform(0.05, 0.2), rng.uniform(-0.8, 0.0), rng.uniform(0.02, 0.05)
    y, x = torch.meshgrid(*((torch.arange(n, device=device) - (n - 1) / 2) / min(size) for n in size), indexing="ij")
    edge = torch.from_numpy(at + rate * times).float().to(device).view(-1, 1, 1)
    shade = torch.sigmoid((edge - x * np.cos(angle) - y * np.sin(angle)) / width)                          # (T, H, W)
    gain = torch.from_numpy(1 + world.lighting * gain.T).float().to(device)[:, :, None, None]               # (T, 3, 1, 1)
    return gain * (1 - 0.5 * world.lighting * shade[:, None])


def sensor_noise(world, times: Float[np.ndarray, "T"], size: tuple[int, int]) -> Float[Tensor, "T 3 H W"]:
    """Independent noise, drawn on the CPU frame by frame: the same whichever frames are asked for."""
    draws = [world.stream("noise", int(t)).standard_normal((3, *size), dtype=np.float32) for t in times]
    return world.noise * torch.from_numpy(np.stack(draws))
