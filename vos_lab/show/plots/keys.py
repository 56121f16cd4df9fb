"""Keys: how each cell describes itself."""

import numpy as np
import torch
from jaxtyping import Float, UInt8
from matplotlib.figure import Figure
from torch import Tensor

from ...draw import overlay
from ...track import Track
from .panels import caption, check_frames, fit_to, grid_extent, mark_cell, recorded, show_picture, spread, tiles


def keys_as_colours(track: Track, frames: list[int] | None = None) -> Figure:
    """Which cells have keys that are alike? The three main directions of all keys of the clip, as red, green and blue.

    track: from run(clip, record=True). One basis serves all frames: the same colour is the same key, everywhere.
    """
    clip, frames = recorded(track), chosen(track, frames)
    colours, explained = principal_colours(track)
    figure, axes = tiles(2 * len(frames), clip.size, len(frames))
    for above, below, t in zip(axes, axes[len(frames) :], frames):
        show_picture(above, outlined(track, t))
        above.set_title(f"frame {t}")
        fit_to(below, clip.size)
        below.set_title("its keys, as colours")
        below.imshow(colours[t].numpy(), extent=grid_extent(track), interpolation="nearest")
    words = (
        "A key is what a cell is compared by. Above the outlines that were found, below the keys. Look for two things that "
        "share a colour: their keys are alike, and matching may confuse them. "
        f"(The colours hold {explained:.0%} of the variance of the keys; the rest is unseen.)"
    )
    caption(figure, words)
    return figure


def principal_colours(track: Track) -> tuple[dict[int, Float[Tensor, "h w 3"]], float]:
    """The keys of each frame along the three main directions of the whole clip, 0..1, and the share of variance they hold."""
    rows = torch.cat([key[0].flatten(1).T for key in track.keys.values()]).float()  # (cells,c)
    rows = rows - rows.mean(0)
    spectrum, directions = torch.linalg.eigh(rows.T @ rows)  # ascending
    main = directions[:, -3:].flip(1)  # (c,3)
    main = main * main.gather(0, main.abs().argmax(0, keepdim=True)).sign()  # a direction has no sign of its own: choose one
    places = rows @ main  # (cells,3)
    low, high = places.quantile(0.01, 0), places.quantile(0.99, 0)  # a few loud cells must not make the others grey
    colours = ((places - low) / (high - low).clamp(min=1e-8)).clamp(0, 1)
    h, w = track.grid
    explained = (spectrum[-3:].sum() / spectrum.sum().clamp(min=1e-12)).item()
    return dict(zip(track.keys, colours.view(-1, h, w, 3))), explained


def key_norms(track: Track, frames: list[int] | None = None) -> Figure:
    """How loud is each cell? The length |k| of its key; the loudest cell of each frame is marked.

    track: from run(clip, record=True). One scale serves all frames.
    """
    clip, frames = recorded(track), chosen(track, frames)
    norms = {t: track.keys[t][0].norm(dim=0).numpy() for t in frames}  # (h,w) each
    most = max(norm.max() for norm in norms.values())
    figure, axes = tiles(2 * len(frames), clip.size, len(frames), bar=True)
    for above, below, t in zip(axes, axes[len(frames) :], frames):
        show_picture(above, outlined(track, t))
        fit_to(below, clip.size)
        heat = below.imshow(norms[t], cmap="cividis", vmin=0, vmax=most, extent=grid_extent(track), interpolation="nearest")
        row, column = divmod(int(norms[t].argmax()), norms[t].shape[1])
        for ax in (above, below):
            mark_cell(ax, row, column, track)
        above.set_title(f"frame {t}")
        below.set_title(f"|k| is {norms[t].min():.1f} to {norms[t].max():.1f}", fontsize=10)
    figure.colorbar(heat, ax=axes[len(frames) :], label="length of key")
    words = (
        "The square marks the longest key of each frame. Look whether bright cells lie on what is followed or anywhere: in a "
        "dot product a long key wins against keys that fit better; L2 takes its length off."
    )
    caption(figure, words)
    return figure


def chosen(track: Track, frames: list[int] | None) -> list[int]:
    """The frames to show: those named, or four that are evenly spaced."""
    there = list(track.keys)
    frames = spread(there, 4) if frames is None else frames
    check_frames(frames, there)
    return frames


def outlined(track: Track, frame: int) -> UInt8[np.ndarray, "H W 3"]:
    """A frame with the outlines that were found."""
    return overlay(recorded(track).frames[frame : frame + 1], track.masks[frame : frame + 1], opacity=0.0)[0]
