"""How fast, and against what: `vos-lab bench speed`."""

import math
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path
from unittest.mock import patch

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F
from torch.utils.flop_counter import FlopCounterMode

from .. import memory
from ..datasets import samples
from ..errors import InputError
from ..metrics import evaluate, text_table
from ..models import faster, load_model
from ..numbers import flush_denormals
from ..precision import has_bfloat16
from ..progress import progress
from ..table import write_table
from ..tracker import Tracker
from ..training.config import Config
from .measure import Measured, in_turns, peaks, timed
from .plain import plain_read, plain_scores, plain_tracking

FIELDS = ("row", "plain_s", "plain_spread", "ours_s", "ours_spread", "ratio", "cpu_ratio", "differ", "allowed")
FIELDS += ("plain_mb", "ours_mb", "plain_gflop", "ours_gflop", "least_mb", "of_peak", "at_least", "aim")
Size = tuple[int, int]


@cache
def trained_keys(count: int, grid: Size) -> Tensor:
    """Of a sample clip: (count,64,h,w)."""
    clip, model = samples.load("walk"), load_model("stcn-small")
    with torch.no_grad():
        images = F.interpolate(clip.images(0, count), [8 * side for side in grid], mode="bilinear")
        return torch.cat([model.encode_key(image).key.float() for image in images.split(1)])


def read_data(frames: int, device: torch.device, grid: Size = (30, 54), objects: int = 2, channels: int = 512) -> tuple:
    """Memory keys (1,64,n), query keys (1,64,m) and values (1,k,cv,n).

    The keys are a trained model's, of a sample clip, since how sharp an affinity is decides what it costs; frames beyond the
    clip's are its frames again, a little changed.
    """
    seen = trained_keys(5 if frames < 5 else 24, grid)
    torch.manual_seed(0)
    keys = seen[torch.arange(frames + 1) % len(seen)]
    keys[len(seen) :] += 0.01 * torch.randn_like(keys[len(seen) :])
    flat = keys.to(device).movedim(1, 0).flatten(2)  # (64,t,h*w)
    values = torch.randn(frames * math.prod(grid), objects, channels, device=device).permute(1, 2, 0)[None]
    return flat[:, :frames].flatten(1)[None].contiguous(), flat[None, :, frames].contiguous(), values


def random_data(frames: int, device: torch.device) -> tuple:
    """The same shapes with keys of pure noise: an affinity that is nowhere sharp."""
    torch.manual_seed(0)
    cells = 30 * 54
    values = torch.randn(frames * cells, 2, 512, device=device).permute(1, 2, 0)[None]
    return torch.randn(1, 64, frames * cells, device=device), torch.randn(1, 64, cells, device=device), values


def read_row(name: str, data: tuple, top_k: int | None, goal: tuple, repeats: int) -> dict:
    ways = {"plain": plain_read, "ours": memory.read}
    with torch.no_grad():
        measured, results = in_turns({n: lambda way=way: way(*data, top_k=top_k) for n, way in ways.items()}, repeats)
    out = results["ours"].nbytes
    differ = ((results["plain"] - results["ours"]).abs().max() / results["plain"].abs().max()).item()
    moved = float(sum(x.nbytes for x in data) + out)
    for m in measured.values():
        m.bytes -= out
    return row(name, measured, differ, 1e-5, goal, moved)


def published(frames: int, objects: int, device: torch.device) -> tuple[torch.nn.Module, Tensor, Tensor]:
    """STCN of published size with random weights, frames (t,3,480,864) and first masks (k,480,864), boxes."""
    if not 3 <= frames <= 24:
        raise InputError(f"frames={frames}: the sample clip has 3 to 24")
    images = F.interpolate(samples.load("walk").images(0, frames), (480, 864), mode="bilinear").to(device)
    masks = torch.zeros(objects, 480, 864, device=device)
    for k in range(objects):
        masks[k, 60 + 60 * k : 110 + 60 * k, 100 + 120 * k : 260 + 120 * k] = 1
    return load_model("stcn", "random", device), images, masks


def track_row(name: str, objects: int, precision: str, frames: int, goal: tuple, device: torch.device) -> dict:
    """The two ways take turns frame by frame."""
    model, images, masks = published(frames, objects, device)
    tracker = Tracker(faster(model, precision))
    plain = plain_tracking(model, images, masks)
    next(plain), tracker.start(images[0], masks)
    measured, differ = {"plain": Measured([], []), "ours": Measured([], [])}, []
    ways = {"plain": lambda t: next(plain), "ours": lambda t: tracker.step(images[t])}
    for t in range(1, frames):
        found = {}
        for way, step in ways.items():
            with FlopCounterMode(display=False) as counter:
                found[way] = timed(lambda step=step, t=t: step(t), measured[way])
            measured[way].flop += counter.get_total_flops() // (frames - 1)
        # in float32 the probabilities agree; untrained, many lie so close together that a mask says less than they do
        exact = (found["plain"] - found["ours"]).abs().max()
        masks_differ = (found["plain"].argmax(0) != found["ours"].argmax(0)).float().mean()
        differ.append((exact if precision == "fp32" else masks_differ).item())
    return row(name, measured, float(np.mean(differ)), 1e-3, goal)


def scores_row(frames: int, goal: tuple, repeats: int) -> dict:
    truth, prediction = (discs(frames, shift) for shift in (0, 4))

    def ours():
        scores = evaluate(prediction, truth)
        return np.stack([scores.j, scores.f], 1)

    measured, results = in_turns({"plain": lambda: plain_scores(truth, prediction), "ours": ours}, repeats)
    differ = np.nanmax(np.abs(results["plain"] - results["ours"])).item()
    return row(f"J and F, {frames} frames of 480x854, 2 objects", measured, differ, 1e-9, goal)


def discs(frames: int, shift: int, size: Size = (480, 854)) -> np.ndarray:
    """Ids (T,H,W) of two round things with ragged outlines that move."""
    y, x = np.mgrid[: size[0], : size[1]].astype(np.float32)
    masks = np.zeros((frames, *size), np.uint8)
    for k in (1, 2):
        for t in range(frames):
            dy, dx = y - 120 - 90 * k - t, x - 200 * k - 2 * t - shift
            masks[t][np.hypot(dy, dx) < 80 + 15 * np.sin(7 * np.arctan2(dy, dx) + t / 9)] = k
    return masks


def video_row(goal: tuple, repeats: int) -> dict:
    import decord

    from ..video import read_video, write_video

    frames = samples.load("walk").frames[np.arange(100) % 24].repeat(2, 1).repeat(2, 2)[:, :, :854]
    with tempfile.TemporaryDirectory() as folder:
        path = str(Path(folder) / "clip.mp4")
        write_video(path, frames)

        def plain():
            reader = decord.VideoReader(path)
            return np.stack([reader[t].asnumpy() for t in range(len(reader))])

        measured, results = in_turns({"plain": plain, "ours": lambda: read_video(path)[0]}, repeats)
    return row("reading 100 frames of 480p", measured, float((results["plain"] != results["ours"]).mean()), 0.0, goal)


def training_row(batch: int, goal: tuple, repeats: int, device: torch.device) -> dict:
    """Forward, backward and update, in float32 with the plain read, and as stcn-small's config says."""
    from ..training.config import load_config

    config = load_config("stcn-small", [])
    plain = training_step(replace(config, channels_last=False, precision="fp32"), batch, 160, device)

    def with_plain_read() -> Tensor:
        with patch.object(memory, "read", plain_read):
            return plain()

    ways = {"plain": with_plain_read, "ours": training_step(config, batch, 160, device)}
    measured, results = in_turns(ways, repeats)
    differ = (results["ours"] / results["plain"] - 1).abs().item()
    return row(f"a training step of stcn-small, batch {batch}", measured, differ, 0.05, goal)


def losses_row(batch: int, goal: tuple, repeats: int, device: torch.device) -> dict:
    """Plain: a step of the experiment `correspondence` with masks alone; ours: with all losses on the matching.

    Loading is in neither, and so is finding regions, which data loading does (17 ms of a CPU core per clip of 3 frames).
    """
    from ..training.config import load_config

    masks = load_config("stcn-tiny-base", [])
    weights = {"affinity": 0.1, "temporal": 0.2, "cross_view": 0.04, "object_level": 0.1}
    everything = replace(masks, **weights, discovered=True, projection=True)
    steps = {"plain": training_step(masks, batch, 128, device), "ours": training_step(everything, batch, 128, device)}
    flush_denormals()  # as in training
    measured, _ = in_turns(steps, repeats)  # their losses are not the same, and are not compared
    flush_denormals(False)
    return row(f"a step of stcn-tiny with all losses, batch {batch}", measured, 0.0, 0.0, goal)


def training_step(config: Config, batch: int, size: int, device: torch.device) -> Callable[[], Tensor]:
    """A function that does one step, always the same one, and returns its loss."""
    from ..losses.discover import propose_regions
    from ..training.rollout import Rollout

    torch.manual_seed(0)
    images = F.interpolate(samples.load("walk").images(0, 3), (size, size), mode="bilinear")
    frames = images.expand(batch, 3, 3, size, size).contiguous().to(device)
    masks = torch.zeros(batch, 3, size, size, dtype=torch.int64, device=device)
    masks[:, :, size // 4 : size // 2, size // 4 : 9 * size // 16] = 1
    masks[:, :, 9 * size // 16 : 7 * size // 8, 3 * size // 8 : 11 * size // 16] = 2
    objects = torch.full((batch,), 2, device=device)
    regions = propose_regions(images).expand(batch, -1, -1, -1).to(device) if config.discovered else None
    rollout = Rollout(load_model(config.model, "random", device), config).train()
    rollout.model.to(memory_format=torch.channels_last if config.channels_last else torch.contiguous_format)
    rollout.to(device)
    optimizer = torch.optim.Adam(rollout.parameters(), lr=0.0)  # so that each step is the same step
    bf16 = config.precision == "bf16" and has_bfloat16(device)

    def step() -> Tensor:
        with torch.autocast(device.type, torch.bfloat16, enabled=bf16):
            loss = rollout(frames, masks, objects, regions, 10_000).total  # at the end of all ramps
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss.detach()

    return step


def import_row(goal: tuple, repeats: int) -> dict:
    """All public names of vos_lab, torch being there already; there is nothing to compare with."""
    code = "import sys, time, torch, torchvision; began = time.process_time(); import vos_lab as vl"
    code += "; [getattr(vl, name) for name in vl.HOMES]" if goal[2] else ""
    code += "; print(time.process_time() - began)"
    run = lambda: float(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout)
    seconds = [run() for _ in range(repeats)]
    name = "import of all public names" if goal[2] else "import vos_lab"
    return {**dict.fromkeys(FIELDS, float("nan")), **row(name, {"ours": Measured(seconds, seconds)}, 0.0, 0.0, goal[:2])}


def row(
    name: str, measured: dict[str, Measured], differ: float, allowed: float, goal: tuple, moved: float = float("nan")
) -> dict:
    """A line of the table.

    differ: how far the results lie apart, reads as a share of the largest value · moved: bytes read and written at least once.
    """
    if differ > 10 * allowed:
        raise InputError(f"{name}: the two ways differ by {differ:g}, allowed is {allowed:g}: one of them is wrong")
    line = {"row": name, "differ": differ, "allowed": allowed, "least_mb": moved / 1e6, "at_least": goal[0], "aim": goal[1]}
    for way, m in measured.items():
        line |= {f"{way}_s": m.seconds, f"{way}_spread": m.spread, f"{way}_mb": m.bytes / 1e6, f"{way}_gflop": m.flop / 1e9}
    if "plain" in measured:
        pairs = list(zip(measured["plain"].wall, measured["ours"].wall))
        line["ratio"] = float(np.median([a / b for a, b in pairs]))  # of neighbours in time
        line["cpu_ratio"] = sum(measured["plain"].cpu) / sum(measured["ours"].cpu)
    return line


def rows(device: torch.device, frames: int, repeats: int) -> dict[str, Callable[[], dict]]:
    """By short name, what makes each line of the table; after the goals: ratios (at least, aim), or seconds for imports."""
    trained, noise = (lambda: read_data(20, device)), (lambda: random_data(20, device))
    at = "480p grid, 20 frames, 2 objects"
    made = {
        "read": lambda: read_row(f"read, full softmax, {at}", trained(), None, (2.0, 3.0), repeats),
        "read-noise": lambda: read_row("the same with keys of noise", noise(), None, (2.0, 3.0), repeats),
        "top-k": lambda: read_row(f"read, top-k 20, {at}", trained(), 20, (2.4, 5.0), repeats),
        "track": lambda: track_row(f"STCN, 480p, {frames} frames, 1 object", 1, "fp32", frames, (1.2, 1.6), device),
        "track-bf16": lambda: track_row("the same in bfloat16", 1, "bf16", frames, (1.8, 3.0), device),
        "track-5": lambda: track_row(f"STCN, 480p, {frames} frames, 5 objects", 5, "fp32", frames, (1.4, 2.0), device),
        "scores": lambda: scores_row(70, (8.0, 20.0), min(3, repeats)),
        "video": lambda: video_row((1.2, 1.2), repeats),
        "training": lambda: training_row(4, (1.5, 2.5), repeats, device),
        "losses": lambda: losses_row(8, (2 / 3, 1.0), repeats, device),
        "import": lambda: import_row((0.3, 0.1, False), repeats),
        "import-all": lambda: import_row((0.3, 0.1, True), repeats),
    }
    if not has_bfloat16(device):
        del made["track-bf16"]
    return made


def bench_speed(wanted: list[str], frames: int, repeats: int, out: Path) -> str:
    """The table, row by row to OUT/speed.csv, and as text."""
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    made = rows(device, frames, repeats)
    if unknown := set(wanted) - set(made):
        raise InputError(f"there is no row {', '.join(sorted(unknown))}: choose {', '.join(made)}")
    best = peaks(device)
    lines = []
    for name in progress(wanted or list(made), desc="speed", unit="row"):
        line = made[name]()
        peak = best["bf16" if name in ("track-bf16", "training") else "fp32"]
        line["of_peak"] = 1e9 * line["ours_gflop"] / line["ours_s"] / peak if line["ours_gflop"] else float("nan")
        lines.append(line)
        write_table(out / "speed.csv", FIELDS, lines, digits=5)
    return f"{conditions(device, best)}\n{table(lines)}"


def conditions(device: torch.device, best: dict[str, float]) -> str:
    name = torch.cuda.get_device_name() if device.type == "cuda" else f"{torch.get_num_threads()} CPU threads"
    load = f", load {os.getloadavg()[0]:.1f} of {os.cpu_count()} cores" if hasattr(os, "getloadavg") else ""
    fp32, bf16, copied = (f"{best[name] / 1e9:.1f} G" for name in ("fp32", "bf16", "copy"))
    return f"torch {torch.__version__}, {name}{load}; measured peaks: {fp32}FLOP/s float32, {bf16}FLOP/s bfloat16, {copied}B/s"


def table(lines: list[dict]) -> str:
    """Seconds with their spread, ratios (by the clock, and of CPU seconds), memory, work, and what was to be reached."""
    some = lambda x, form="{:.2f}": "" if math.isnan(x) else form.format(x)
    header = [
        "",
        "plain s",
        "ours s",
        "ratio",
        "CPU ratio",
        "plain MB",
        "ours MB",
        "GFLOP",
        "least MB",
        "of peak",
        "differ",
        "wanted",
        "aim",
    ]
    cells = [
        [
            line["row"],
            some(line["plain_s"], "{:.3f}") + some(line["plain_spread"], " ±{:.0%}") if "plain_s" in line else "",
            some(line["ours_s"], "{:.3f}") + some(line["ours_spread"], " ±{:.0%}"),
            *(some(line[x]) for x in ("ratio", "cpu_ratio")),
            *(some(line[x], "{:.0f}") for x in ("plain_mb", "ours_mb", "ours_gflop", "least_mb")),
            some(line["of_peak"], "{:.0%}"),
            f"{line['differ']:.1g}" + " (too far)" * (line["differ"] > line["allowed"]),
            f"{line['at_least']:.3g}",
            f"{line['aim']:g}",
        ]
        for line in lines
    ]
    return text_table(header, cells)
