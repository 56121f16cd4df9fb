"""report.html: one page on one tracked clip, with nothing to load from elsewhere."""

import platform
from pathlib import Path

import numpy as np
from PIL import Image

from . import draw
from .atomic import whole_file
from .clip import Clip, picture_html
from .metrics import Scores
from .track import Track

PAGE = """<!doctype html>
<html lang="en"><meta charset="utf-8"><title>{{ clip.name }} · vos_lab</title>
<style>
 body { font: 16px/1.5 system-ui, sans-serif; max-width: 62rem; margin: 2rem auto; padding: 0 1rem; color: #222 }
 img { max-width: 100%; height: auto } td, th { padding: .2rem .8rem; text-align: right } td:first-child { text-align: left }
 table { border-collapse: collapse } tr + tr { border-top: 1px solid #ccc }
</style>
<h1>{{ clip.name }}</h1>
<p>{{ count }} frames of {{ clip.size[0] }}x{{ clip.size[1] }} pixels, {{ objects }}, tracked by the model “{{ model }}” in
{{ "%.1f"|format(track.seconds) }} s: {{ "%.1f"|format(speed) }} frames per second on {{ device }}.
<a href="overlay.mp4">Watch it</a>.</p>
<h2>What was found</h2>
{{ found }}
{% if scores %}
<h2>How right it is</h2>
{{ scores._repr_html_()|safe }}
<p>J: how much of the region is right, F: how much of the outline; 1 is perfect. Recall: share of frames above 0.5; decay:
what is lost from the first quarter to the last. Worst frames of {{ worst_label }}: predicted above, true below.</p>
{{ worst }}
{% endif %}
<p>{{ comment }}</p>
"""


def write_report(
    path: str | Path, clip: Clip, track: Track, scores: Scores | None, model: str, device: str, comment: str = ""
) -> None:
    """Contact sheet, timing, a comment, and with scores the frames that are worst against the truth in `clip.masks`."""
    import jinja2
    from markupsafe import Markup

    found = Clip(clip.frames, track.masks, clip.name).contact_sheet()
    ids = ", ".join(map(str, track.object_ids))
    context = dict(
        clip=clip,
        track=track,
        scores=scores,
        comment=comment,
        model=model,
        device=f"{device} ({platform.processor() or platform.machine()})" if device == "cpu" else device,
        count=len(clip),
        objects=f"objects with ids {ids}" if len(track.object_ids) > 1 else f"one object, id {ids}",
        speed=(len(clip) - track.first_frame) / track.seconds,
        found=Markup(
            picture_html(found, f"Contact sheet of {clip.name}: the masks found, over frames spread evenly over the clip")
        ),
    )
    if scores:
        picture, label = worst_frames(clip, track, scores)
        context["worst"] = Markup(picture_html(picture, f"The worst frames of {label}: prediction above, truth below"))
        context["worst_label"] = label
    page = jinja2.Environment(autoescape=True).from_string(PAGE).render(context)
    with whole_file(path) as draft:
        draft.write_text(page, encoding="utf-8")


def worst_frames(clip: Clip, track: Track, scores: Scores, count: int = 4) -> tuple[Image.Image, str]:
    """The frames of lowest J of the worst object: prediction in the first row, truth in the second."""
    row = int(np.nanargmin([np.nanmean(j) if not np.isnan(j).all() else np.inf for j in scores.j]))
    j = np.where(np.isnan(scores.j[row]), np.inf, scores.j[row])
    frames = np.sort(np.argsort(j)[: min(count, int(np.isfinite(j).sum()))])
    both = np.concatenate([draw.overlay(clip.frames[frames], m[frames]) for m in (track.masks, clip.known_masks)])
    labels = [f"frame {t}: J {j[t]:.2f}" for t in frames] + [f"frame {t}: truth" for t in frames]
    return draw.contact_sheet(both, labels, columns=len(frames)), f"object {scores.object_ids[row]}"
