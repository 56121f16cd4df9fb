"""Whatever comes in: the right result, or one clear sentence; never something silently wrong."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image

import vos_lab as vl
from vos_lab import InputError, cli, losses
from vos_lab.masks import object_ids

SIZES = st.tuples(st.integers(1, 40), st.integers(1, 40)) | st.sampled_from([(1, 1), (1, 300), (2000, 33), (33, 2000), (8, 8)])
SEEDS = st.integers(0, 2**32 - 1)
NAMES = st.sampled_from(["clip", "mit Leerzeichen", "видео", "a'b\"c", "日本", "100%", "x.y", "-rf", "<b>"])
MODES = ["RGB", "L", "RGBA", "LA", "P", "I;16", "1"]


def picture(rng, size, mode):
    """Noise in any of Pillow's modes."""
    noise = rng.integers(0, 256, (*size, 3), dtype=np.uint8)
    if mode == "I;16":
        return Image.fromarray(rng.integers(0, 65536, size).astype(np.uint16))
    return Image.fromarray(noise).convert(mode)


def ids_in_blocks(rng, frames, size, count):
    """Masks (T,H,W) of at most `count` objects with any ids, in large and small blocks, with gaps and void."""
    ids = rng.choice(np.arange(1, 255), count, replace=False).astype(np.uint8)
    masks = np.zeros((frames, *size), np.uint8)
    for t in range(frames):
        for i in rng.permutation([*ids, 0, 255]):
            y, x = (rng.integers(0, side) for side in size)
            masks[t, y : y + rng.integers(1, size[0] + 1), x : x + rng.integers(1, size[1] + 1)] = i
    return masks


@given(
    seed=SEEDS,
    size=SIZES,
    frames=st.integers(1, 3),
    mode=st.sampled_from(MODES),
    name=NAMES,
    ending=st.sampled_from(["png", "webp", "jpg"]),
)
def test_a_folder_of_any_pictures(tmp_path_factory, seed, size, frames, mode, name, ending):
    rng = np.random.default_rng(seed)
    folder = tmp_path_factory.mktemp("any") / name
    folder.mkdir()
    pictures = [picture(rng, size, mode) for _ in range(frames)]
    if ending != "png":
        pictures = [one if mode in ("RGB", "L") else one.convert("RGB") for one in pictures if mode != "I;16"]
    for t, one in enumerate(pictures):
        one.save(folder / f"{t}.{ending}")
    try:
        clip = vl.Clip.load(folder)
    except InputError as error:
        assert str(folder) in str(error) and (not pictures or mode not in ("RGB", "L", "1"))
        return
    assert clip.frames.shape == (frames, *size, 3) and clip.masks is None and clip.name == name
    if ending == "png" and mode in ("RGB", "L", "1"):
        assert np.array_equal(clip.frames, [np.asarray(one.convert("RGB")) for one in pictures])


@given(seed=SEEDS, size=SIZES, frames=st.integers(1, 4), count=st.integers(1, 250), name=NAMES)
def test_masks_come_back_as_they_were_saved(tmp_path_factory, seed, size, frames, count, name):
    rng = np.random.default_rng(seed)
    clip = vl.Clip(rng.integers(0, 256, (frames, *size, 3), dtype=np.uint8), ids_in_blocks(rng, frames, size, count), name=name)
    root = tmp_path_factory.mktemp("tree")
    clip.save(root)
    again = vl.Clip.load(root / "JPEGImages" / "480p" / name)
    annotated = clip.annotated
    if not annotated.any():
        assert again.masks is None
    else:
        assert np.array_equal(again.masks, clip.masks) and np.array_equal(again.annotated, annotated)


@given(seed=SEEDS, size=SIZES, frames=st.integers(1, 3), count=st.integers(1, 10) | st.just(200))
def test_tracking_anything(seed, size, frames, count):
    """Every frame gets a mask of known ids, the first one as it was given; probabilities are probabilities."""
    rng = np.random.default_rng(seed)
    pixels, masks = rng.integers(0, 256, (frames, *size, 3), dtype=np.uint8), ids_in_blocks(rng, frames, size, count)
    masks[1:] = 255
    clip, colour = vl.Clip(pixels, masks), vl.load_model("colour")
    if not len(clip.object_ids):
        with pytest.raises(InputError, match="empty|masks"):
            vl.Tracker(colour).run(clip)
        return
    track = vl.Tracker(colour).run(clip)
    assert track.masks.shape == masks.shape and set(np.unique(track.masks)) <= {0, *clip.object_ids}
    marked = ~np.isin(masks[0], (0, 255))
    assert np.array_equal(track.masks[0][marked], masks[0][marked])


@given(seed=SEEDS, bad=st.sampled_from([np.nan, np.inf, -np.inf]), size=SIZES)
def test_pixels_that_are_no_numbers_are_refused(seed, bad, size):
    rng = np.random.default_rng(seed)
    image = torch.from_numpy(rng.normal(size=(3, *size))).float()
    image.view(-1)[rng.integers(image.numel())] = bad
    mask = torch.ones(1, *size)
    tracker = vl.Tracker(vl.load_model("colour"))
    with pytest.raises(InputError, match="finite"):
        tracker.start(image, mask)
    tracker.start(torch.zeros(3, *size), mask)
    with pytest.raises(InputError, match="finite"):
        tracker.step(image)


@given(seed=SEEDS, size=SIZES, frames=st.integers(1, 5), count=st.integers(1, 12), davis=st.booleans())
def test_scores_of_anything(seed, size, frames, count, davis):
    """Between 0 and 1, exactly 1 for the truth itself, and unmoved by other names for the ids and by mirroring."""
    rng = np.random.default_rng(seed)
    truth, guess = (ids_in_blocks(rng, frames, size, count) for _ in range(2))
    try:
        scores = vl.evaluate(guess, truth, davis=davis)
    except InputError as error:
        annotated = (truth != 255).any((1, 2))
        last = frames - annotated.all()  # the last frame counts where some frame has no truth
        firsts = [0] if davis else [(truth == k).any((1, 2)).argmax() for k in object_ids(truth)]
        nothing = not any(annotated[first + 1 : last].any() for first in firsts)
        assert frames < 3 or not len(object_ids(truth[0] if davis else truth)) or nothing, error
        return
    assert 0 <= scores.JF <= 1 and 0 <= np.nanmin(scores.j) and np.nanmax(scores.f) <= 1
    assert vl.evaluate(truth, truth, davis=davis).JF == 1
    mirrored = vl.evaluate(guess[:, ::-1, ::-1], truth[:, ::-1, ::-1], davis=davis)
    assert mirrored.J == scores.J  # F is not: a boundary lies on the north-west side of an edge
    if not davis:
        table = np.concatenate([[0], 1 + rng.permutation(254), [255]]).astype(np.uint8)
        assert vl.evaluate(table[guess], table[truth]).JF == pytest.approx(scores.JF, abs=1e-12)


SHAPES = st.tuples(*(st.integers(1, most) for most in (3, 4, 6, 9, 9)))  # b, t, c, h, w


@given(seed=SEEDS, shape=SHAPES, scale=st.sampled_from([0.0, 1e-6, 1.0, 1e3]), objects=st.integers(0, 4))
def test_losses_on_any_keys(seed, shape, scale, objects):
    """Finite, with finite gradients; or a sentence."""
    b, t, c, h, w = shape
    rng = torch.Generator().manual_seed(seed)
    one, two = (scale * torch.randn(shape, generator=rng, requires_grad=True) for _ in range(2))
    maps = (torch.rand(b, t, objects, h, w, generator=rng) > 0.7).float()
    theta = torch.tensor([[0.7, 0, 0.1], [0, 0.7, -0.2]]).expand(b, 2, 3)
    found = [losses.object_correspondence(one, maps)]
    try:
        pixel = losses.pixel_correspondence(one, two, theta, grid=4, cross_grid=2)
        found += [pixel.temporal, pixel.cross_view]
    except InputError as error:
        assert "anchors" in str(error) and min(h, w) < 4
    similarity = vl.memory.similarity(one[:, 0].flatten(2), two[:, 0].flatten(2))
    labels = torch.randint(-1, 3, (2, b, h * w), generator=rng)
    found.append(losses.affinity_supervision(vl.memory.affinity(similarity), *labels))
    total = sum(found)
    assert torch.isfinite(total) and all(loss >= 0 for loss in found)
    if total.requires_grad:
        assert all(x is None or x.isfinite().all() for x in torch.autograd.grad(total, (one, two), allow_unused=True))


WORDS = st.sampled_from(
    ["segment", "track", "evaluate", "train", "experiment", "bench", "download", "davis-2017", "world", "stcn-tiny", "lr=x"]
    + [
        "--mask",
        "--out",
        "--root",
        "--model",
        "--every",
        "--short-side",
        "0",
        "-1",
        "nan",
        "",
        "missing",
        "--clips",
        "steps=-1",
    ]
)


@given(words=st.lists(WORDS, min_size=1, max_size=6))
def test_any_words_on_the_command_line(tmp_path_factory, words, monkeypatch_session, capfd_lines):
    """0, or 2 and what is wrong; no traceback, and nothing written."""
    monkeypatch_session.chdir(tmp_path_factory.mktemp("empty"))
    if words[0] in ("download", "bench", "experiment") or (words[0] == "train" and "stcn-tiny" in words):
        words = [words[0], "--nonsense", *words[1:]]  # these would begin to work
    try:
        code = cli.main(words)
    except SystemExit as left:
        code = left.code
    said = capfd_lines()
    assert code == 2 and said and not any("Traceback" in line for line in said)


@given(
    values=arrays(
        np.float32,
        st.tuples(st.integers(1, 3), st.integers(1, 5), st.integers(1, 7)),
        elements=st.floats(-(2.0**100), 2.0**100, width=32),
    )
)
def test_affinity_of_any_numbers_is_a_distribution(values):
    affinity = vl.memory.affinity(torch.from_numpy(values))
    assert torch.allclose(affinity.sum(1), torch.ones(affinity.shape[0], affinity.shape[2])) and (affinity >= 0).all()
