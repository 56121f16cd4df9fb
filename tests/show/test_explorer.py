"""The explorer without a browser: what it sends, what it refuses, and that its JavaScript computes what Python computes."""

import base64
import json
import shutil
import subprocess
from pathlib import Path

import matplotlib
import numpy as np
import pytest
import torch

import vos_lab as vl
from vos_lab import show
from vos_lab.datasets import samples
from vos_lab.matches import cell_labels, padded
from vos_lab.track import LongTermCells, Track

matplotlib.use("Agg")


def track_of(clip, remembered, channels=64, matching=None, reach=False, longer=()):
    """A track with made-up keys: a cell is much the same in all frames, as to a network. longer: long-term cells' origins."""
    random = torch.Generator().manual_seed(0)
    h, w = (-(-side // 8) for side in clip.size)
    frame = max(remembered) + 1
    ids = [int(i) for i in clip.object_ids]
    draw = lambda *shape: torch.randn(*shape, generator=random)
    scene = 2 * draw(1, channels, h, w)
    track = Track(clip.masks, object_ids=ids, stride=8, matching=matching or {"kind": "l2", "top_k": 20}, clip=clip)
    track.keys = {t: scene + draw(1, channels, h, w) / 2 for t in range(frame + 1)}
    if reach:
        track.reach = {t: (1 + draw(1, 1, h, w) ** 2, draw(1, channels, h, w).sigmoid()) for t in track.keys}
    cells = LongTermCells(torch.tensor(longer, dtype=torch.int64), (1 + draw(1, 1, len(longer)) ** 2) if reach else None)
    track.memory = {frame: dict.fromkeys(ids, list(remembered))}
    track.long_term = {frame: dict.fromkeys(ids, cells)}
    return track, frame


@pytest.fixture
def small(ball):
    """6x10 cells, padded by 1 above and left; two frames in memory."""
    cut = vl.Clip(ball.frames[:, :45, :77], ball.masks[:, :45, :77])
    return vl.Tracker(vl.load_model("colour"), vl.EveryNth(2)).run(cut, record=True)


# --- what is sent


def test_payload_of_eight_memory_frames():
    clip = samples.load("look-alike")
    track, frame = track_of(clip, range(0, 16, 2))
    made = show.AffinityExplorer(track, frame)
    assert len(made.panels) == 9 and not made.full_precision
    assert len(made.cell_keys) == 9 * 30 * 54 * 64 * 2 <= 2_000_000
    assert sum(map(len, [*made.pictures, *made.masks])) + len(made.labels) <= 1_000_000


def test_wide_frames_are_sent_smaller():
    clip = samples.load("walk").resize((480, 864))
    track, frame = track_of(clip, [0], channels=2)
    made = show.AffinityExplorer(track, frame)
    assert max(map(len, made.pictures)) < 120_000
    assert made.panels[0]["width"] == 864  # cells are told in the frame's own pixels


def test_labels_follow_the_rule_of_false_matches(small):
    made = show.AffinityExplorer(small, 5)
    expected = cell_labels(padded(torch.from_numpy(small.clip.masks), small), 8)
    sent = np.frombuffer(made.labels, np.uint8).reshape(4, 60)
    assert np.array_equal(sent, expected[[5, 0, 2, 4]].to(torch.uint8).numpy())
    assert (sent == 255).any()  # some cells are mixed
    assert "true masks" in made.source


def test_labels_come_from_the_track_where_the_clip_has_no_masks(small):
    small.clip.masks[1:] = 255
    made = show.AffinityExplorer(small, 5)
    masks = np.concatenate([small.clip.masks[:1], small.masks[1:]])
    expected = cell_labels(padded(torch.from_numpy(masks), small), 8)[5].to(torch.uint8).numpy()
    assert np.array_equal(np.frombuffer(made.labels, np.uint8)[:60], expected)
    assert made.source == "the clip's masks in frame 0, elsewhere the masks that the tracker found"


def test_long_term_cells_are_shown_as_a_mosaic(ball):
    longer = [60 + 7, 3, 120 + 59]  # of frames 1, 0 and 2
    track, frame = track_of(ball, [3, 4], channels=4, longer=longer)
    made = show.AffinityExplorer(track, frame)
    panel = made.panels[-1]
    assert panel["origins"] == [[0, 0, 3], [1, 0, 7], [2, 5, 9]] and panel["title"] == "long-term: 3 cells of frames 0 to 2"
    assert panel["rows"] * panel["columns"] >= 3
    made.memory_cell = (2, 5, 9)
    with pytest.raises(vl.InputError, match="not in memory"):
        made.memory_cell = (2, 5, 8)


# --- what can be chosen


def test_settings_are_those_of_the_track_at_first(small):
    made = show.AffinityExplorer(small, 5)
    assert (made.kind, made.top_k, made.temperature, made.norm_term, made.without) == ("l2", 20, 1.0, True, [])
    labels = np.frombuffer(made.labels, np.uint8)[:60].reshape(6, 10)
    assert labels[made.cell] == 3  # the first object asks
    made = show.AffinityExplorer(small, 5, cell=tuple(np.array((2, 3))), kind="dot", top_k=None, without=[2])
    assert (made.cell, made.kind, made.top_k, made.without) == ((2, 3), "dot", None, [2])


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"frame": 0}, "frame 0 read no memory: choose one of 1..7"),
        ({"frame": 70}, "choose one of 1..7"),
        ({"object_id": 9}, "object 9 was not followed"),
        ({"cell": (6, 0)}, "rows 0..5"),
        ({"memory_cell": (3, 0, 0)}, "not in memory"),
        ({"kind": "anisotropic"}, "choose l2, dot, cosine$"),
        ({"temperature": 0.0}, "above 0"),
        ({"top_k": 0}, "keeps no memory cell"),
        ({"without": [1]}, r"choose of \[0, 2, 4\]"),
        ({"opacity": 2.0}, "0..1"),
        ({"topk": 3}, "no option topk"),
    ],
)
def test_what_cannot_be_shown_is_refused(small, options, words):
    with pytest.raises(vl.InputError, match=words):
        show.AffinityExplorer(small, **{"frame": 5, **options})


def test_a_track_without_record_is_refused(ball):
    with pytest.raises(vl.InputError, match="record=True"):
        show.AffinityExplorer(vl.Tracker(vl.load_model("colour")).run(ball), 3)


def test_the_twin_draws_what_is_chosen(small):
    made = show.AffinityExplorer(small, 5, cell=(3, 4), without=[2], norm_term=False, temperature=0.5, top_k=7)
    figure = made.twin()
    panels = [ax for ax in figure.axes if "memory, frame" in ax.get_title()]
    assert [ax.get_title().split(":")[0] for ax in panels] == ["memory, frame 0", "memory, frame 4"]
    drawn = np.stack([ax.images[1].get_array() for ax in panels])
    query, key = (torch.cat([small.keys[t].flatten(2) for t in frames], 2) for frames in ([5], [0, 4]))
    similarity = (2 * key.mT @ query / 12**0.5)[0, :, 3 * 10 + 4] / 0.5
    best = similarity.topk(7)
    expected = torch.zeros(120).scatter(0, best.indices, best.values.softmax(0))
    assert np.allclose(drawn.reshape(-1), expected, atol=1e-4)
    matplotlib.pyplot.close(figure)
    made.without = [0, 2, 4]
    with pytest.raises(vl.InputError, match="leaves nothing in memory"):
        made.twin()


def test_without_widgets_there_is_a_picture_in_its_place(small):
    bundle, _ = show.AffinityExplorer(small, 5)._repr_mimebundle_()
    assert "application/vnd.jupyter.widget-view+json" in bundle
    assert "needs widgets" in bundle["text/html"] and "data:image/png;base64" in bundle["text/html"]


# --- the affinity in JavaScript


def in_javascript(made, folder, columns=(), rows=()):
    """What the widget's own module makes of the bytes that it is sent."""
    if shutil.which("node") is None:
        pytest.skip("no node on this machine; tests/browser compares as well")
    module = folder / "explorer.mjs"
    module.write_text(made._esm + "\nexport { keysOf, affinityOf, Readers };", encoding="utf-8")
    names = ("panels", "labels", "cell_keys", "full_precision", "shrinkage", "selection")
    state = {name: getattr(made, name) for name in (*names, "kind", "temperature", "top_k", "norm_term", "without")}
    asked = {"module": module.as_uri(), "state": state, "columns": [*columns], "rows": [*rows]}
    as_base64 = lambda data: {"base64": base64.b64encode(data).decode()}
    script = Path(__file__).with_name("affinity.mjs")
    done = subprocess.run(["node", script], input=json.dumps(asked, default=as_base64), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    return np.array(answer["columns"], np.float32), np.array(answer["rows"], np.float32)


OPTIONS = [
    {},
    {"kind": "dot", "top_k": None, "temperature": 3.0},
    {"kind": "cosine", "top_k": 5, "temperature": 0.05},
    {"norm_term": False, "top_k": 50},
    {"top_k": 1},
    {"temperature": 4.0, "top_k": None, "opacity": 0.5},
]


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_the_browser_computes_the_affinity_of_python(ball, tmp_path, options):
    track, frame = track_of(vl.Clip(ball.frames[:, :45, :77], ball.masks[:, :45, :77]), [0, 2, 4], channels=11)
    made = show.AffinityExplorer(track, frame, **options)
    assert made.full_precision
    columns, rows = in_javascript(made, tmp_path, range(60), range(0, 180, 7))
    expected = made.as_set().affinity(frame)[0].numpy()  # (n,m)
    assert np.abs(columns - expected.T).max() < 1e-4
    assert np.abs(rows - expected[::7]).max() < 1e-4


def test_half_precision_is_enough(tmp_path):
    track, frame = track_of(samples.load("look-alike"), range(0, 16, 2))
    cells = range(0, 1620, 161)
    made = show.AffinityExplorer(track, frame)
    for options in OPTIONS[:4]:
        for name, value in options.items():
            setattr(made, name, value)
        columns, _ = in_javascript(made, tmp_path, cells)
        expected = made.as_set().affinity(frame)[0, :, list(cells)].numpy()
        assert np.abs(columns - expected.T).max() < 1e-3, (options, np.abs(columns - expected.T).max())


def test_reach_and_long_term_memory_as_of_xmem(ball, tmp_path):
    longer = [60 + 7, 3, 120 + 59]
    track, frame = track_of(ball, [3, 4], 4, {"kind": "anisotropic", "top_k": 30}, reach=True, longer=longer)
    made = show.AffinityExplorer(track, frame)
    columns, rows = in_javascript(made, tmp_path, range(60), [0, 64, 121])
    order = [*range(120), 121, 120, 122]  # long-term cells are shown by origin
    expected = track.affinity(frame)[0].numpy()[order]
    assert expected[120:].max() > 0.01
    assert np.abs(columns - expected.T).max() < 1e-4
    assert np.abs(rows - expected[[0, 64, 121]]).max() < 1e-4
    made.kind = "l2"
    columns, _ = in_javascript(made, tmp_path, range(60))
    assert np.abs(columns - made.as_set().affinity(frame)[0].numpy()[order].T).max() < 1e-4


def test_frames_that_are_switched_off_get_nothing(ball, tmp_path):
    track, frame = track_of(ball, [1, 3, 4], 4, longer=[5, 9])
    made = show.AffinityExplorer(track, frame, without=[3, "long-term"])
    columns, rows = in_javascript(made, tmp_path, range(60), [0, 70, 181])
    expected = made.as_set().affinity(frame)[0].numpy()  # of frames 1 and 4
    assert np.abs(columns[:, :60] - expected[:60].T).max() < 1e-4 and np.abs(columns[:, 120:180] - expected[60:].T).max() < 1e-4
    assert not columns[:, 60:120].any() and not columns[:, 180:].any() and not rows[1:].any() and rows[0].any()
    made.without = [1, 3, 4, "long-term"]
    assert not in_javascript(made, tmp_path, range(60))[0].any()
