import subprocess
import sys

import numpy as np
import pytest
import torch
from PIL import Image

import vos_lab as vl
from vos_lab import masks as mask_files


def save_png(path, pixels, mode=None):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels, mode).save(path)
    return path


@pytest.fixture
def folder(tmp_path, ball):
    """The clip as a folder of PNG frames."""
    for t, frame in enumerate(ball.frames):
        save_png(tmp_path / "frames" / f"{t:05d}.png", frame)
    return tmp_path / "frames"


@pytest.fixture
def tree(tmp_path, ball):
    """The clip as a DAVIS-style tree."""
    ball.save(tmp_path / "tree", resolution="48p")
    return tmp_path / "tree"


def test_a_tree_gives_back_frames_masks_and_names(tree, ball):
    clip = vl.Clip.load(tree / "JPEGImages" / "48p" / "ball")
    assert clip.name == "ball" and clip.frame_names == [f"{t:05d}" for t in range(8)]
    assert (clip.masks == ball.masks).all() and clip.annotated.all() and clip.object_ids.tolist() == [3, 7]
    assert np.abs(clip.frames.astype(int) - ball.frames).mean() < 2  # JPEG


def test_a_folder_of_png_frames_is_exact_and_has_no_masks(folder, ball):
    clip = vl.Clip.load(folder)
    assert (clip.frames == ball.frames).all() and clip.masks is None and not clip.annotated.any()
    assert len(clip.object_ids) == 0


def test_masks_are_written_with_the_davis_palette(tree):
    with Image.open(tree / "Annotations" / "48p" / "ball" / "00000.png") as image:
        assert image.mode == "P"
        assert image.getpalette()[: 3 * 4] == [0, 0, 0, 128, 0, 0, 0, 128, 0, 128, 128, 0]


def test_frames_are_in_natural_order(tmp_path):
    for t in (1, 2, 10):
        save_png(tmp_path / f"frame{t}.png", np.full((4, 4, 3), t, np.uint8))
    assert vl.Clip.load(tmp_path).frames[:, 0, 0, 0].tolist() == [1, 2, 10]


def test_some_masks_may_be_missing_and_every_takes_its_own(folder, tmp_path, ball):
    for t in (0, 4):
        mask_files.write_mask(tmp_path / "masks" / f"{t:05d}.png", ball.masks[t])
    clip = vl.Clip.load(folder, masks=tmp_path / "masks", every=2)
    assert clip.annotated.tolist() == [True, False, True, False] and (clip.masks[1] == 255).all()
    assert (clip.masks[2] == ball.masks[4]).all() and clip.frame_names == ["00000", "00002", "00004", "00006"]


@pytest.mark.parametrize("name, frame", [("first", 0), ("00000", 0), ("00003", 3)])
def test_a_single_mask_belongs_to_the_frame_of_its_name_or_to_the_first(folder, tmp_path, ball, name, frame):
    mask_files.write_mask(tmp_path / f"{name}.png", ball.masks[frame])
    clip = vl.Clip.load(folder, masks=tmp_path / f"{name}.png")
    assert clip.annotated.nonzero()[0].tolist() == [frame] and (clip.masks[frame] == ball.masks[frame]).all()


def test_grey_masks_hold_ids_and_a_white_mask_is_object_1(folder, tmp_path, ball):
    grey = save_png(tmp_path / "grey.png", ball.masks[0])
    white = save_png(tmp_path / "white.png", (ball.masks[0] > 0).astype(np.uint8) * 255)
    one_bit = tmp_path / "one_bit.png"
    Image.fromarray(ball.masks[0] > 0).save(one_bit)
    assert vl.Clip.load(folder, masks=grey).object_ids.tolist() == [3, 7]
    for path in (white, one_bit):
        assert (vl.Clip.load(folder, masks=path).masks[0] == (ball.masks[0] > 0)).all()


def test_void_stays_void_in_palette_masks(folder, tmp_path, ball):
    mask = ball.masks[0].copy()
    mask[:5] = 255
    mask_files.write_mask(tmp_path / "void.png", mask)
    clip = vl.Clip.load(folder, masks=tmp_path / "void.png")
    assert (clip.masks[0] == mask).all() and clip.object_ids.tolist() == [3, 7]


def smoothed(mask, ids=(0, 120, 250)):
    """A grey mask that was drawn large and shrunk with smoothing."""
    big = np.array(ids, np.uint8)[np.searchsorted([0, 3, 7], mask)].repeat(4, 0).repeat(4, 1)
    return np.asarray(
        Image.fromarray(big).resize((82, 50), Image.Resampling.LANCZOS).resize((80, 48), Image.Resampling.BICUBIC)
    )


def test_smoothed_edges_are_refused_and_can_be_mended(folder, tmp_path, ball):
    path = save_png(tmp_path / "soft.png", smoothed(ball.masks[0]))
    with pytest.raises(vl.InputError, match=r"soft.png holds \d+ ids, \d+ of them only along edges.*soft_edges='nearest'"):
        vl.Clip.load(folder, masks=path)
    mended = vl.Clip.load(folder, masks=path, soft_edges="nearest")
    assert mended.object_ids.tolist() == [120, 250]
    assert ((mended.masks[0] > 0) == (ball.masks[0] > 0)).mean() > 0.97
    assert len(vl.Clip.load(folder, masks=path, soft_edges="keep").object_ids) > 10


@pytest.mark.parametrize("how", [Image.Resampling.BILINEAR, Image.Resampling.BOX, Image.Resampling.LANCZOS])
@pytest.mark.parametrize("ids", [(0, 255, 255), (0, 3, 3), (0, 2, 200)])
def test_a_few_smoothed_levels_are_seen_too(folder, tmp_path, ball, how, ids):
    """Shrunk by two with smoothing: as few as two ids between background and object."""
    big = np.array(ids, np.uint8)[np.searchsorted([0, 3, 7], np.roll(ball.masks[0], 1, 1))].repeat(2, 0).repeat(2, 1)
    soft = np.asarray(Image.fromarray(np.roll(big, (1, 1), (0, 1))).resize((80, 48), how))
    path = save_png(tmp_path / "soft.png", soft)
    with pytest.raises(vl.InputError, match="only along edges"):
        vl.Clip.load(folder, masks=path)
    mended = vl.Clip.load(folder, masks=path, soft_edges="nearest").masks[0]
    assert set(np.unique(mended)) == ({0, 1} if 255 in ids else set(ids))
    assert ((mended > 0) == (np.roll(ball.masks[0], 1, 1) > 0)).mean() > 0.9


def test_small_and_thin_objects_are_no_smoothed_edges(folder, tmp_path, ball):
    mask = ball.masks[0].copy()
    mask[40, 10:60], mask[30:32, 70:72], mask[44:46, :2] = 1, 2, 9  # a line and two specks
    path = save_png(tmp_path / "thin.png", mask)
    assert vl.Clip.load(folder, masks=path).object_ids.tolist() == [1, 2, 3, 7, 9]


def test_a_mask_that_lies_among_the_frames_is_no_frame(folder, tmp_path, ball):
    mask_files.write_mask(folder / "mask.png", ball.masks[0])
    clip = vl.Clip.load(folder, masks=folder / "mask.png")
    assert len(clip) == 8 and clip.annotated.nonzero()[0].tolist() == [0]
    with pytest.raises(vl.InputError, match="mask.png looks like a mask .a palette image. among frames"):
        vl.Clip.load(folder)


def test_a_mask_of_a_frame_that_was_left_out_is_refused(folder, tmp_path, ball):
    mask_files.write_mask(tmp_path / "00003.png", ball.masks[3])
    with pytest.raises(vl.InputError, match="00003.png belongs to a frame that was left out"):
        vl.Clip.load(folder, masks=tmp_path / "00003.png", every=2)
    with pytest.raises(vl.InputError, match="left out"):
        vl.Clip.load(folder)[4:].with_masks(tmp_path / "00003.png")


def test_grey_saved_as_rgb_is_grey(folder, tmp_path, ball):
    rgb = np.repeat((ball.masks[0] > 0)[..., None], 3, -1).astype(np.uint8) * 255
    assert vl.Clip.load(folder, masks=save_png(tmp_path / "rgb.png", rgb)).object_ids.tolist() == [1]


def test_saving_without_masks_leaves_no_old_ones(tmp_path, ball):
    ball.save(tmp_path)
    vl.Clip(ball.frames[:4], name="ball").save(tmp_path)
    clip = vl.Clip.load(tmp_path / "JPEGImages" / "480p" / "ball")
    assert len(clip) == 4 and clip.masks is None


def test_a_folder_is_named_by_what_it_is_called(folder, monkeypatch):
    monkeypatch.chdir(folder)
    assert vl.Clip.load(".").name == "frames"


def test_slices(ball):
    assert len(ball[2:5]) == 3 and ball[2:5].frame_names == ["00002", "00003", "00004"]
    assert ball[::2].fps == 12 and len(ball[-1]) == 1 and ball[-1].frame_names == ["00007"]
    assert torch.equal(ball[5::-1].images(), ball[:6].images().flip(0))  # to be tracked backwards
    assert torch.equal(ball[5::-1].images(0, 1), ball[5].images())  # numpy calls one frame contiguous whatever its stride
    assert (ball[3].masks[0] == ball.masks[3]).all()


@pytest.mark.parametrize("which", [8, -9, slice(9, 12)])
def test_frames_outside_the_clip_are_refused(ball, which):
    with pytest.raises(IndexError, match=r"clip 'ball', whose 8 frames are 0\.\.7"):
        ball[which]


def test_resizing_makes_no_new_ids(ball):
    for bad in ({"size": (0, 20)}, {"short_side": 0}):
        with pytest.raises(vl.InputError, match="leaves no pixel"):
            ball.resize(**bad)
    for clip in (ball.resize((37, 59)), ball.resize(short_side=100)):
        assert set(np.unique(clip.masks)) == {0, 3, 7}
    assert ball.resize(short_side=24).size == (24, 40)


def test_short_side_while_loading_resizes_frames_and_masks(tree):
    clip = vl.Clip.load(tree / "JPEGImages" / "48p" / "ball", short_side=24)
    assert clip.frames.shape == (8, 24, 40, 3) and clip.object_ids.tolist() == [3, 7]


def test_video_goes_out_and_comes_back(tmp_path, ball):
    odd = vl.Clip(ball.frames[:, :47, :79], ball.masks[:, :47, :79], fps=10.0)
    odd.save_overlay(tmp_path / "a clip.mp4")
    back = vl.Clip.load(tmp_path / "a clip.mp4")
    assert back.frames.shape == (8, 48, 80, 3) and back.fps == pytest.approx(10)
    painted = vl.draw.overlay(odd.frames, odd.masks)
    assert np.abs(back.frames[:, :47, :79].astype(int) - painted).mean() < 12  # H.264 halves the resolution of colour
    thin = vl.Clip.load(tmp_path / "a clip.mp4", every=3, short_side=24)
    assert thin.frames.shape == (3, 24, 40, 3) and thin.frame_names == ["00000", "00003", "00006"]
    odd.save_overlay(tmp_path / "clip.gif")
    with Image.open(tmp_path / "clip.gif") as gif:
        assert gif.n_frames == 8 and gif.size == (79, 47)


def test_a_sheet_for_notebooks_has_a_text_alternative(ball):
    page = vl.Clip(ball.frames, ball.masks, "<ball>")._repr_html_()
    assert 'alt="Contact sheet. Clip &#x27;&lt;ball&gt;&#x27;: 8 frames of 48x80' in page and "<ball>" not in page


def test_overlay_paints_objects_and_leaves_background_and_void():
    frames, masks = np.full((1, 9, 9, 3), 100, np.uint8), np.zeros((1, 9, 9), np.uint8)
    masks[0, 3:, 3:], masks[0, :2] = 1, 255
    painted = vl.draw.overlay(frames, masks)[0]
    assert (painted[masks[0] != 1] == 100).all() and (painted[4:-1, 4:-1][masks[0, 4:-1, 4:-1] == 1] != 100).any(-1).all()
    assert (painted[3, 3:] == 255).all() and (painted[3:, 3] == 255).all() and (frames == 100).all()


@pytest.mark.parametrize("fail", ["exit 1", "head -c 1000 > /dev/null; exit 1", "cat > /dev/null; exit 3"])
def test_a_video_that_cannot_be_written_leaves_nothing(tmp_path, ball, monkeypatch, fail):
    encoder = tmp_path / "ffmpeg"
    encoder.write_text(f"#!/bin/sh\necho broken >&2\nfor last; do :; done; echo half > $last\n{fail}\n")
    encoder.chmod(0o755)
    monkeypatch.setattr("imageio_ffmpeg.get_ffmpeg_exe", lambda: str(encoder))
    with pytest.raises(OSError, match="could not be written: broken"):
        ball.save_overlay(tmp_path / "out" / "x.mp4")
    assert not list((tmp_path / "out").iterdir())


def test_very_wide_and_very_small_clips_show_themselves():
    for size in ((2, 2000), (1, 1), (300, 2)):
        assert "<img" in vl.Clip(np.zeros((9, *size, 3), np.uint8))._repr_html_()


def cut_mp4(folder, ball, share):
    path = folder / f"cut{share}.mp4"
    vl.video.write_video(path, ball.frames.repeat(10, 0))
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * share)])
    return path


def bad_inputs(tmp_path, folder, ball):
    """(what is loaded, with which masks, what the sentence must say)"""
    empty = tmp_path / "empty"
    empty.mkdir()
    mixed = tmp_path / "mixed"
    for t in range(2):
        save_png(mixed / f"{t}.png", np.zeros((8, 8 + t, 3), np.uint8))
    twice = tmp_path / "twice"
    for ending in ("png", "jpg"):
        save_png(twice / f"00000.{ending}", np.zeros((8, 8, 3), np.uint8))
    broken = tmp_path / "broken"
    broken.mkdir()
    (broken / "00000.jpg").write_bytes(b"\xff\xd8 no jpeg")
    dataset = tmp_path / "dataset"
    (dataset / "JPEGImages").mkdir(parents=True)
    other = tmp_path / "other"
    save_png(other / "00099.png", ball.masks[0])
    small = save_png(tmp_path / "small.png", ball.masks[0][:40])
    rgb = save_png(tmp_path / "rgb.png", ball.frames[0])
    text = tmp_path / "text.png"
    text.write_text("no image")
    return [
        (tmp_path / "absent.mp4", None, "absent.mp4 does not exist"),
        (text, None, "text.png cannot be read as a video"),
        (cut_mp4(tmp_path, ball, 0.5), None, "cut0.5.mp4 cannot be read as a video: it is cut off"),
        (cut_mp4(tmp_path, ball, 0), None, "cut0.mp4 cannot be read as a video"),
        (empty, None, "empty holds no frames"),
        (mixed, None, r"1.png is 8x9 pixels but 0.png is 8x8"),
        (twice, None, "two images named '00000'"),
        (broken, None, "00000.jpg cannot be read as an image"),
        (dataset, None, "dataset is a whole data set: give one clip of it"),
        (folder, tmp_path / "absent.png", "absent.png does not exist"),
        (folder, empty, "empty holds no masks"),
        (folder, other, "no mask in .*other is named like a frame of frames"),
        (folder, small, r"small.png is 40x80 pixels but its frame is 48x80"),
        (folder, rgb, "rgb.png is a RGB image in colour, but a mask holds one object id per pixel"),
        (folder, text, "text.png cannot be read as an image"),
    ]


def test_bad_input_gets_one_sentence(tmp_path, folder, ball):
    for source, masks, sentence in bad_inputs(tmp_path, folder, ball):
        with pytest.raises(vl.InputError, match=sentence) as error:
            vl.Clip.load(source, masks=masks)
        assert "\n" not in str(error.value)


@pytest.mark.parametrize("option", [{"every": 0}, {"short_side": 0}, {"soft_edges": "blur"}])
def test_bad_options_are_named(folder, tmp_path, ball, option):
    mask = save_png(tmp_path / "mask.png", ball.masks[0])
    with pytest.raises(vl.InputError, match=next(iter(option))):
        vl.Clip.load(folder, masks=mask, **option)


def test_arrays_of_the_wrong_kind_are_refused(ball, as_user):
    for frames, masks in [
        (ball.frames[0], None),
        (ball.frames / 255, None),
        (ball.frames[:0], None),
        (ball.frames, ball.masks[1:]),
    ]:
        with pytest.raises(vl.InputError, match=r"must be uint8"):
            vl.Clip(frames, masks)


def test_normalise_is_torchvisions(ball):
    from torchvision.transforms import v2

    pixels = torch.from_numpy(ball.frames).movedim(-1, 1).float() / 255
    theirs = v2.Normalize(vl.clip.IMAGENET_MEAN, vl.clip.IMAGENET_STD)(pixels)
    assert torch.allclose(ball.images(), theirs, atol=1e-6)
    assert ball.images(2, 4).shape == (2, 3, 48, 80)


def test_the_core_imports_without_video_plot_and_notebook_libraries():
    code = """
import sys
import vos_lab as vl
for name in vl.__all__:
    if name != "show": getattr(vl, name)
loud = {"decord", "matplotlib", "IPython", "jupyterlab", "ipywidgets", "anywidget", "skimage", "imageio_ffmpeg", "jinja2"}
assert not loud & set(sys.modules), loud & set(sys.modules)
"""
    subprocess.run([sys.executable, "-c", code], check=True)


def test_known_masks_are_the_masks_or_a_sentence(ball):
    assert ball.known_masks is ball.masks
    with pytest.raises(vl.InputError, match="clip 'mute' has no masks"):
        _ = vl.Clip(ball.frames, name="mute").known_masks


def test_a_grey_mask_with_transparency_is_read_and_ids_below_0_are_not(tmp_path):
    ids = np.zeros((8, 10), np.uint8)
    ids[2:5, 3:7] = 2
    Image.fromarray(np.stack([ids, np.full_like(ids, 255)], 2), "LA").save(tmp_path / "la.png")
    assert (mask_files.read_mask(tmp_path / "la.png")[0] == ids).all()
    Image.fromarray(ids.astype(np.int32) - 3).save(tmp_path / "below.tif")
    with pytest.raises(vl.InputError, match="holds the id -3"):
        mask_files.read_mask(tmp_path / "below.tif")


def test_each_frame_has_a_name():
    with pytest.raises(vl.InputError, match="1 frame_names for 3 frames"):
        vl.Clip(np.zeros((3, 4, 4, 3), np.uint8), frame_names=["a"])
