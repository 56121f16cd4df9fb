"""What the plots draw is what was there to be drawn. The track has random keys and needs no model, so this is quick."""

import json

import matplotlib
import numpy as np
import pytest
import torch
from matplotlib import pyplot as plt
from matplotlib.collections import PatchCollection
from matplotlib.colors import to_hex

import vos_lab as vl
from vos_lab import Clip, draw, matches, show
from vos_lab.show import plots
from vos_lab.track import LongTermCells, Track

matplotlib.use("Agg")

H, W = 6, 10  # cells of the small clip, whose grid begins 1 pixel above and left of it


@pytest.fixture(autouse=True)
def closed():
    """Figures are closed after each test."""
    yield
    plt.close("all")


def recorded_track(clip: Clip, seed: int = 0, long_term: int = 0, **matching) -> Track:
    """What a tracker would have recorded, had its model given random keys: cells of 8 pixels, frames 0 and 2 remembered."""
    rng = torch.Generator().manual_seed(seed)
    h, w = (-(-side // 8) for side in clip.size)
    masks = np.roll(clip.masks, 5, axis=2)  # found a little to the right
    track = Track(masks, f"track {seed}", object_ids=[1, 2], stride=8, matching={"kind": "l2", **matching}, clip=clip)
    for t in range(len(clip)):
        track.keys[t] = 3 * torch.randn(1, 4, h, w, generator=rng)
        if t:
            ids = (1, 2)
            track.memory[t] = {i: [0] if t <= 2 else [0, 2] for i in ids}
            origins = torch.randperm(h * w, generator=rng)[:long_term] + h * w  # cells of frame 1
            track.long_term[t] = {i: LongTermCells(origins) for i in ids}
    return track


@pytest.fixture
def clip() -> Clip:
    """Six frames of 45x77, so that the cells reach 1 or 2 pixels beyond; two boxes in the masks, on whole cells and not."""
    rng = np.random.default_rng(0)
    masks = np.zeros((6, 45, 77), np.uint8)
    for t in range(6):
        masks[t, 7:31, 7 + 4 * t : 31 + 4 * t] = 1
        masks[t, 23:43, 47:71] = 2
    return Clip(rng.integers(0, 255, (6, 45, 77, 3), np.uint8), masks, name="boxes")


@pytest.fixture(scope="module")
def rendered() -> Clip:
    """A clip with exact truth, of the same size."""
    return vl.World(seed=2).clip(6, (45, 77), objects=2)


@pytest.fixture
def track(clip) -> Track:
    return recorded_track(clip, top_k=5)


@pytest.fixture
def long_track(clip) -> Track:
    """The same with 7 cells in long-term memory."""
    return recorded_track(clip, long_term=7)


def heats(figure) -> list[np.ndarray]:
    """What is drawn per cell, one array per panel; magnifiers are left out."""
    images = [image for ax in figure.axes for image in ax.images]
    return [np.asarray(image.get_array()) for image in images if image.get_array().shape == (H, W)]


def titles(figure) -> list[str]:
    return [ax.get_title() for ax in figure.axes if ax.get_title()]


def words(figure) -> str:
    """The caption, in one line."""
    return figure._supxlabel.get_text().replace("\n", " ")


DRAWN = {  # every public name, drawn from a small clip and its track
    "frame_overlay": lambda clip, track: show.frame_overlay(clip, 2),
    "contact_sheet": lambda clip, track: show.contact_sheet(clip, track),
    "keys_as_colours": lambda clip, track: show.keys_as_colours(track, [0, 3]),
    "key_norms": lambda clip, track: show.key_norms(track, [0, 3]),
    "affinity_of_pixel": lambda clip, track: show.affinity_of_pixel(clip, track, 4, 20, 20),
    "affinity_matrix": lambda clip, track: show.affinity_matrix(track, 4),
    "memory_usage": lambda clip, track: show.memory_usage(track, 4),
    "correspondences": lambda clip, track: show.correspondences(track, 4),
    "false_match_map": lambda clip, track: show.false_match_map(track, 4),
    "false_match_timeline": lambda clip, track: show.false_match_timeline(track),
    "before_after": lambda clip, track: show.before_after({"one": track, "other": track}, 4, [(20, 20)]),
    "scores_over_time": lambda clip, track: show.scores_over_time(clip, track),
}
ELSEWHERE = {
    "reliability",
    "policy_costs",
    "read_growth",
    "training_curves",
    "differences",
}  # these need something else: tests of their own


@pytest.mark.parametrize("name", DRAWN)
def test_every_plot_says_what_to_look_for(name, clip, track):
    assert "look" in words(DRAWN[name](clip, track)).lower()


def test_every_public_name_is_here_and_in_show():
    assert set(plots.__all__) == set(DRAWN) | ELSEWHERE
    assert all(getattr(show, name) is getattr(plots, name) for name in plots.__all__)


@pytest.mark.parametrize("name", [name for name in DRAWN if name not in ("frame_overlay", "contact_sheet", "scores_over_time")])
def test_a_track_without_a_record_is_refused(name, clip, track):
    bare = vl.tracker.Track(track.masks, object_ids=[1, 2], stride=8)
    with pytest.raises(vl.InputError, match="record=True"):
        DRAWN[name](clip, bare)


# frames


def test_an_overlay_writes_each_id_inside_its_object(clip):
    figure = show.frame_overlay(clip, 3)
    (ax,) = figure.axes
    assert {text.get_text() for text in ax.texts} == {"1", "2"}
    for text in ax.texts:
        x, y = text.get_position()
        assert clip.masks[3, int(y), int(x)] == int(text.get_text())
    assert np.array_equal(ax.images[0].get_array(), draw.overlay(clip.frames[3:4], clip.masks[3:4])[0])


def test_an_overlay_goes_where_it_is_told(clip):
    figure, ax = plt.subplots()
    assert show.frame_overlay(clip, 0, ax=ax) is figure and len(ax.images) == 1
    assert figure._supxlabel is None  # the figure is the caller's, and so is its caption


def test_an_overlay_in_a_part_of_a_figure_gives_the_figure(clip):
    figure = plt.figure()
    ax = figure.subfigures(1, 2)[0].subplots()
    assert show.frame_overlay(clip, 0, ax=ax) is figure


def test_a_contact_sheet_has_a_row_per_track_and_says_its_j(clip, track):
    figure = show.contact_sheet(clip, {"a": track, "b": track}, frames=[0, 4])
    assert titles(figure)[:2] == ["frame 0", "frame 4"]
    assert [ax.texts[0].get_text() for ax in figure.axes[::2]] == ["true masks", "a", "b"]
    expected = np.mean([vl.metrics.region_similarity(clip.masks[4:5] == i, track.masks[4:5] == i) for i in (1, 2)])
    assert titles(figure)[3] == f"frame 4: J {expected:.2f}"
    assert np.array_equal(figure.axes[3].images[0].get_array(), draw.overlay(clip.frames[4:5], track.masks[4:5])[0])
    assert len(titles(figure)) == 6


def test_a_clip_without_masks_has_a_contact_sheet(clip):
    figure = show.contact_sheet(vl.Clip(clip.frames, name="bare"), count=3)
    assert titles(figure) == ["frame 0", "frame 2", "frame 5"]


def test_a_frame_that_is_not_annotated_says_so_and_has_no_j(clip, track):
    clip.masks[2:] = 255
    figure = show.contact_sheet(clip, {"a": track}, frames=[0, 3])
    assert titles(figure) == ["frame 0", "frame 3: not annotated", titles(figure)[2], "frame 3"]
    assert titles(figure)[2].startswith("frame 0: J 0.")


@pytest.mark.parametrize(
    "ask, sentence",
    [
        (lambda clip: show.frame_overlay(clip, 6), "frame 6 is not there: choose of 0..5"),
        (lambda clip: show.frame_overlay(clip, 0, clip.masks[:2]), "give track.masks"),
        (lambda clip: show.contact_sheet(clip, frames=[]), "frames is empty"),
        (lambda clip: show.contact_sheet(clip, count=0), "count=0 shows nothing"),
        (lambda clip: show.contact_sheet(clip, {}), "tracks is empty"),
    ],
)
def test_frames_that_cannot_be_shown_are_refused(clip, ask, sentence):
    with pytest.raises(vl.InputError, match=sentence):
        ask(clip)


# keys


def test_the_same_key_has_the_same_colour_in_every_frame(track):
    track.keys[3] = track.keys[0].flip(3)
    figure = show.keys_as_colours(track, [0, 3])
    one, other = (ax.images[0].get_array() for ax in figure.axes[2:])
    assert one.shape == (H, W, 3) and one.min() >= 0 and one.max() <= 1
    assert np.allclose(one, other[:, ::-1])
    assert one.std() > 0.1


def test_the_colours_follow_the_directions_in_which_keys_differ(track):
    for key in track.keys.values():
        key[:, 1:] = 0  # all keys lie on one line
    first = show.keys_as_colours(track, [2])
    assert "100% of the variance" in words(first)
    colours = first.axes[1].images[0].get_array()[..., 0].ravel()
    assert abs(np.corrcoef(colours, track.keys[2][0, 0].ravel())[0, 1]) > 0.97  # but for the ends, which are clipped


def test_key_norms_mark_the_loudest_cell(track):
    track.keys[3][0, :, 4, 7] = 50.0
    figure = show.key_norms(track, [0, 3])
    drawn = heats(figure)
    assert np.allclose(drawn[1], track.keys[3][0].norm(dim=0)) and drawn[1].max() == pytest.approx(100)
    mark = figure.axes[3].patches[0]
    assert (mark.get_x(), mark.get_y()) == (7 * 8 - 1, 4 * 8 - 1)
    assert all(image.get_clim() == (0, 100) for ax in figure.axes[2:4] for image in ax.images)


# affinity


def test_the_affinity_of_a_pixel_is_drawn_over_each_memory_frame(clip, track):
    figure = show.affinity_of_pixel(clip, track, frame=5, x=41, y=24)
    assert [title.split(":")[0] for title in titles(figure)] == ["frame 5", "memory, frame 0", "memory, frame 2"]
    query, *panels = figure.axes[:3]
    drawn = np.stack([ax.images[1].get_array() for ax in panels])
    assert drawn.sum() == pytest.approx(1, abs=1e-5)
    row, column = track.cell_at(41, 24)
    mark = query.patches[0]
    assert mark.get_x() <= 41 < mark.get_x() + 8 and mark.get_y() <= 24 < mark.get_y() + 8
    assert np.allclose(drawn, track.affinity(5).view(2, H, W, H, W)[..., row, column])
    assert all(ax.images[1].get_extent() == [-1, 79, 47, -1] for ax in panels)


def test_pixels_outside_the_frame_are_refused(clip, track):
    with pytest.raises(vl.InputError, match="x goes from 0 to 76"):
        show.affinity_of_pixel(clip, track, 3, x=77, y=0)


def test_it_is_said_how_much_weight_long_term_cells_hold(clip, long_track):
    figure = show.affinity_of_pixel(clip, long_track, frame=5, x=41, y=24)
    row, column = long_track.cell_at(41, 24)
    beyond = float(long_track.affinity(5)[0, -7:, row * W + column].sum())
    assert sum(heat.sum() for heat in heats(figure)[:2]) <= 1
    drawn = sum(ax.images[1].get_array().sum() for ax in figure.axes[1:3])
    assert drawn + beyond == pytest.approx(1, abs=1e-5)
    assert f"(7 single cells, not drawn) holds {beyond:.0%} of the weight" in words(figure)


def test_usage_is_the_weight_from_all_query_cells(long_track):
    figure = show.memory_usage(long_track, 5)
    drawn, given = np.stack(heats(figure)), long_track.affinity(5)[0].sum(1)
    assert np.allclose(drawn.ravel(), given[:-7], atol=1e-5)
    assert drawn.sum() + given[-7:].sum() == pytest.approx(H * W, rel=1e-4)
    assert titles(figure)[1] == f"memory, frame 2: {drawn[1].sum() / (H * W):.0%} of all weight"
    assert f"holds {given[-7:].sum() / (H * W):.0%}" in words(figure)


def test_the_whole_matrix_is_drawn_by_frame_and_object(long_track, clip):
    figure = show.affinity_matrix(long_track, 5)
    (drawn,) = (np.asarray(image.get_array()) for image in figure.axes[0].images)
    labels = matches.cell_labels(matches.padded(torch.from_numpy(clip.masks), long_track), 8)  # (T,m)
    rank = lambda label: 9 if label < 0 else label
    columns = sorted(range(H * W), key=lambda j: rank(int(labels[5, j])))
    origins = long_track.origins(5).tolist()
    block = lambda i: min(i // (H * W), 2)
    rows = sorted(range(len(origins)), key=lambda i: (block(i), rank(int(labels.flatten()[origins[i]]))))
    assert np.array_equal(drawn, long_track.affinity(5)[0].numpy()[rows][:, columns])
    assert "127 memory cells (rows) x 60 query cells (columns)" in titles(figure)[0]
    names = [label.get_text().split("\n")[0] for label in figure.axes[0].get_yticklabels()]
    assert names == ["frame 0", "frame 2", "7 long-"]
    legend = [text.get_text() for text in figure.axes[0].get_legend().get_texts()]
    assert legend == ["background", "object 1", "object 2", "mixed cells"]


def test_means_of_blocks_keep_the_mass(long_track):
    figure = show.affinity_matrix(long_track, 5, most=50)
    (drawn,) = (np.asarray(image.get_array()) for image in figure.axes[0].images)
    assert drawn.shape == (43, 30) and "blocks of 3 x 2" in titles(figure)[0]
    heights = np.full(43, 3)
    heights[-1] = 127 - 42 * 3
    assert (drawn * heights[:, None] * 2).sum() == pytest.approx(H * W, rel=1e-4)


def test_a_matrix_of_no_size_is_refused(track):
    with pytest.raises(vl.InputError, match="most=0"):
        show.affinity_matrix(track, 5, most=0)


# matches


def lines_and_ends(figure):
    """Per line of the picture: where it begins and ends, as cells (row, column) of the two frames, and how it looks."""
    right = 77 + 77 // 20
    for line in figure.axes[0].lines:
        (x0, x1), (y0, y1) = line.get_data()
        cells = [(int((y + 1) // 8), int((x + 1) // 8)) for x, y in ((x0, y0), (x1 - right, y1))]
        yield *cells, (to_hex(line.get_color()), line.get_linestyle())


def test_lines_end_at_the_best_match_and_are_judged_by_label(track, clip):
    figure = show.correspondences(track, 5, memory_frame=2, count=200)
    labels = matches.cell_labels(matches.padded(torch.from_numpy(clip.masks), track), 8)
    scores = track.similarity(5)[0, H * W :]  # of the second remembered frame
    seen = set()
    for (row, column), (row2, column2), look in lines_and_ends(figure):
        here, there = row * W + column, row2 * W + column2
        assert there == int(scores[:, here].argmax())
        a, b = int(labels[5, here]), int(labels[2, there])
        assert look == {True: ("#696969", ":"), False: ("#0072b2", "-") if a == b else ("#d55e00", "--")}[min(a, b) < 0]
        seen.add(look)
    assert len(seen) == 3  # right, wrong and not known: all were met
    assert {int(labels[5, r * W + c]) for (r, c), _, _ in lines_and_ends(figure)} == {0, 1, 2}


def test_with_truth_a_match_is_right_at_its_true_place(rendered):
    track = recorded_track(rendered)
    for t in range(1, 6):
        track.keys[t] = track.keys[0] + 0.3 * torch.randn(1, 4, H, W, generator=torch.Generator().manual_seed(t))
    figure = show.correspondences(track, 5, memory_frame=0, pixels=[(x, y) for y in range(4, 45, 8) for x in range(4, 77, 8)])
    distance = matches.match_errors(track, rendered.truth, 5).distance[0]  # (m,)
    looks = [look for _, _, look in lines_and_ends(figure)]
    for pixel, look in zip([(x, y) for y in range(4, 45, 8) for x in range(4, 77, 8)], looks):
        row, column = track.cell_at(*pixel)
        off = float(distance[row * W + column])
        if 4 < pixel[0] < 72 and 4 < pixel[1] < 40:  # away from the padding, which has no true place in `match_errors`
            assert look[1] == (":" if np.isnan(off) else "-" if off <= 8 else "--")
    assert {look[1] for look in looks} >= {"-", "--"}
    right = sum(look[1] == "-" for look in looks)
    assert f"{right} of {sum(look[1] != ':' for look in looks)} matches are at the true place" in titles(figure)[0]


def test_unless_named_the_memory_frame_is_the_one_that_got_most_of_the_weight(track):
    track.keys[5] = track.keys[2].clone()
    assert "looks at frame 2" in titles(show.correspondences(track, 5))[0]
    track.keys[5] = track.keys[0].clone()
    assert "looks at frame 0" in titles(show.correspondences(track, 5))[0]


@pytest.mark.parametrize(
    "options, sentence",
    [
        ({"memory_frame": 1}, "memory_frame=1 was not in memory"),
        ({"by": "place"}, "needs clip.truth"),
        ({"by": "eye"}, "by='eye' is unknown"),
        ({"pixels": []}, "pixels is empty"),
        ({"pixels": [(80, 0)]}, "outside the frame"),
        ({"count": 0}, "count=0"),
    ],
)
def test_correspondences_that_cannot_be_drawn_are_refused(track, options, sentence):
    with pytest.raises(vl.InputError, match=sentence):
        show.correspondences(track, 5, **options)


def found_false(track, frame):
    labels = matches.cell_labels(matches.padded(torch.from_numpy(track.clip.masks), track), 8)
    origins = track.origins(frame)
    return matches.false_matches(track.affinity(frame), labels.flatten()[origins][None], labels[frame][None])


def test_the_map_marks_the_false_cells_of_each_kind(track):
    figure = show.false_match_map(track, 5)
    found = found_false(track, 5)
    drawn = [c for c in figure.axes[0].collections if isinstance(c, PatchCollection)]
    for kind, collection in zip(found._fields[1:], drawn):
        weight = getattr(found, kind)[0]
        cells = [int((y + 1) // 8) * W + int((x + 1) // 8) for x, y in (p.get_extents().min for p in collection.get_paths())]
        assert cells == (weight.nan_to_num(0) >= 0.05).nonzero()[:, 0].tolist()
        assert np.allclose(collection.get_facecolor()[:, 3], 0.25 + 0.65 * weight[cells])
    assert [len(c.get_paths()) > 0 for c in drawn] == [True] * 3
    assert len({c.get_hatch() for c in drawn}) == 3
    assert f"{found.total.nanmean():.1%} of all weight" in titles(figure)[0]


def test_the_timeline_shows_what_track_matches_counts(track, clip):
    figure = show.false_match_timeline(track, frames=[1, 3, 4])
    for line, kind in zip(figure.axes[0].lines, matches.FalseMatches._fields[1:]):
        expected = [getattr(matches.track_matches(track, clip.masks, [t]), kind) for t in (1, 3, 4)]
        assert np.allclose(line.get_ydata(), expected) and list(line.get_xdata()) == [1, 3, 4]
    assert [list(line.get_xdata()) for line in figure.axes[0].lines[3:]] == [[3, 3]]  # from then on, frame 2 was in memory


@pytest.mark.parametrize("plot", [show.false_match_map, show.correspondences])
def test_a_frame_without_a_true_mask_cannot_be_judged(track, clip, plot):
    masks = clip.masks.copy()
    masks[2] = 255
    with pytest.raises(vl.InputError, match="frame 2 has no true mask"):
        plot(track, 5, masks=masks, **({"memory_frame": 2} if plot is show.correspondences else {}))
    with pytest.raises(vl.InputError, match="masks must be the true ones"):
        plot(track, 5, masks=masks[:3])


def test_reliability_draws_the_calibration_of_each_track(rendered):
    tracks = {"a": recorded_track(rendered, 1), "b": recorded_track(rendered, 2)}
    figure = show.reliability(tracks, [3, 5], bins=4)
    for track, points in zip(tracks.values(), figure.axes[0].collections):
        found = matches.calibration([matches.match_errors(track, rendered.truth, t) for t in (3, 5)], 8, 4)
        some = found.cells > 0
        assert np.allclose(points.get_offsets(), torch.stack([found.confidence[some], found.correct[some]], 1), atol=1e-6)
    assert "diagonal" in words(figure)
    with pytest.raises(vl.InputError, match="bins=0"):
        show.reliability(tracks, bins=0)


def test_reliability_needs_truth(track):
    with pytest.raises(vl.InputError, match="has no truth"):
        show.reliability(track)


# two models


def test_before_and_after_answer_the_same_cell(clip, track):
    other = recorded_track(clip, 1, top_k=5)
    figure = show.before_after({"old": track, "new": other}, 5, [(20, 20), (60, 30)])
    for i, (x, y) in enumerate([(20, 20), (60, 30)]):
        for j, (name, one) in enumerate({"old": track, "new": other}.items()):
            row, column = one.cell_at(x, y)
            weights = one.affinity(5).view(2, H, W, H, W)[..., row, column]
            at = int(weights.sum((1, 2)).argmax())
            ax = figure.axes[3 * i + 1 + j]
            assert np.allclose(ax.images[1].get_array(), weights[at])
            false = found_false(one, 5).total[0, row * W + column]
            start = f"{name}: {weights[at].sum():.0%} on frame {(0, 2)[at]} · false weight "
            assert ax.get_title() == start + ("not defined, a mixed cell" if false.isnan() else f"{false:.0%}")
        mark = figure.axes[3 * i].patches[0]
        assert mark.get_x() <= x < mark.get_x() + 8 and mark.get_y() <= y < mark.get_y() + 8


def test_before_and_after_need_two_tracks_of_one_clip(clip, track):
    with pytest.raises(vl.InputError, match="two by name"):
        show.before_after({"a": track}, 5, [(1, 1)])
    with pytest.raises(vl.InputError, match="pixels is empty"):
        show.before_after({"a": track, "b": track}, 5, [])
    elsewhere = recorded_track(vl.Clip(255 - clip.frames, clip.masks))
    with pytest.raises(vl.InputError, match="two different clips"):
        show.before_after({"a": track, "b": elsewhere}, 5, [(1, 1)])


# curves


def test_scores_over_time_show_the_worst_frame(clip, track):
    track.masks[3] = 0  # lost
    figure = show.scores_over_time(clip, track)
    scores = vl.evaluate(track.masks, clip.masks)
    j, found, f, true = (figure.axes[i] for i in range(4))
    j, f = (next(ax for ax in figure.axes if ax.get_title().startswith(letter)) for letter in ("J:", "F:"))
    for ax, rows in ((j, scores.j), (f, scores.f)):
        for line, row, object_id in zip(ax.lines, rows, (1, 2)):
            assert np.array_equal(line.get_ydata(), row, equal_nan=True)
            assert np.allclose(line.get_color(), np.divide(draw.colour_of(object_id), 255))
    assert "frame 3, the worst: J 0.00" in titles(figure)
    shown = next(ax for ax in figure.axes if "true masks" in ax.get_title()).images[0].get_array()
    assert np.array_equal(shown, draw.overlay(clip.frames[3:4], clip.masks[3:4])[0])


def test_of_several_tracks_the_mean_over_objects_is_drawn(clip, track):
    figure = show.scores_over_time(clip, {"a": track, "b": recorded_track(clip, 1)})
    j = next(ax for ax in figure.axes if ax.get_title().startswith("J:"))
    expected = vl.evaluate(track.masks, clip.masks).j[:, 1:-1].mean(0)  # first and last frame are not scored
    assert np.allclose(j.lines[0].get_ydata(), [np.nan, *expected, np.nan], equal_nan=True)
    assert [text.get_text() for text in j.get_legend().get_texts()] == ["a", "b"]
    with pytest.raises(vl.InputError, match="no masks to score against"):
        show.scores_over_time(vl.Clip(clip.frames), track)


ROWS = [
    {"policy": policy, "length": length, "accuracy": 0.8, "ms": 2.0 * length, "bytes": 1_000_000 * length}
    for policy in ("a", "b")
    for length in (48, 24)
]


def test_costs_have_a_line_per_policy_in_order_of_length():
    figure = show.policy_costs(ROWS)
    assert [len(ax.lines) for ax in figure.axes] == [2, 2, 2]
    assert [list(ax.lines[1].get_xdata()) for ax in figure.axes] == [[24, 48]] * 3
    assert [list(ax.lines[1].get_ydata()) for ax in figure.axes] == [[0.8, 0.8], [48, 96], [24, 48]]
    assert len({line.get_linestyle() for line in figure.axes[0].lines}) == 2
    assert "Look" in words(figure)


def test_rows_that_lack_something_are_refused():
    with pytest.raises(vl.InputError, match="lacks ms: each needs policy, length"):
        show.policy_costs([*ROWS, {name: x for name, x in ROWS[0].items() if name != "ms"}])
    with pytest.raises(vl.InputError, match="rows is empty"):
        show.policy_costs([])


def test_growth_names_the_power_by_which_time_grows():
    rows = [
        {"kind": kind, "size": size, "way": way, "seconds": 0.1 * size**power, "mb": 5.0}
        for kind in ("memory frames", "objects")
        for way, power in (("plain", 2), ("ours", 1))
        for size in (1, 2, 5, 10)
    ]
    figure = show.read_growth(rows)
    time, _, memory, _ = figure.axes
    assert [text.get_text() for text in time.get_legend().get_texts()] == ["plain: ^2.0", "ours: ^1.0"]
    assert {text.get_text()[-5:] for text in memory.get_legend().get_texts()} <= {": ^0.0", "^-0.0", " ^0.0"}
    assert "Look" in words(figure)
    with pytest.raises(vl.InputError, match="rows is empty"):
        show.read_growth([])


def write_log(out, values):
    out.mkdir()
    records = [{"step": 10 * i, "total": x, "lr": 0.1} for i, x in enumerate(values)] + [{"step": 99, "J&F world": 0.5}]
    (out / "log.jsonl").write_text("".join(json.dumps(record) + "\n" for record in records))
    return out


def test_training_curves_are_those_of_the_log(tmp_path):
    many = np.random.default_rng(0).random(60)
    runs = {"short": write_log(tmp_path / "a", [3, 2, 1]), "long": write_log(tmp_path / "b", many.tolist())}
    figure = show.training_curves(runs)
    loss, score = figure.axes
    short, raw, smooth = loss.lines
    assert short.get_label() == "short" and list(short.get_ydata()) == [3, 2, 1] and list(short.get_xdata()) == [0, 10, 20]
    assert np.allclose(raw.get_ydata(), many)
    assert np.allclose(smooth.get_ydata()[0], many[:9].mean()) and smooth.get_xdata()[0] == 40
    assert score.get_title() == "J&F world" and [list(line.get_ydata()) for line in score.lines] == [[0.5], [0.5]]
    assert "Look" in words(figure)


def test_curves_that_are_not_there_are_refused(tmp_path):
    run = write_log(tmp_path / "a", [1])
    assert [ax.get_title() for ax in show.training_curves(run, ["lr"]).axes] == ["lr"]
    with pytest.raises(vl.InputError, match="hold no dice: choose of total, lr, J&F world"):
        show.training_curves(run, ["dice"])
    with pytest.raises(vl.InputError, match="names is empty"):
        show.training_curves(run, [])
    with pytest.raises(vl.InputError, match="runs is empty"):
        show.training_curves({})
    with pytest.raises(vl.InputError, match="holds no log"):
        show.training_curves(tmp_path / "nothing")
