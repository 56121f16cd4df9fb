"""MaskPainter without a browser: what it takes, gives, saves and refuses."""

import matplotlib
import numpy as np
import pytest
from PIL import Image

from vos_lab import InputError, masks
from vos_lab.show import MaskPainter
from vos_lab.show.widgets.base import packed, unpacked

matplotlib.use("Agg")


def test_a_mask_goes_in_and_comes_out_exactly(ball):
    painter = MaskPainter(ball.frames[0])
    assert painter.mask.dtype == np.uint8 and painter.mask.shape == (48, 80) and not painter.mask.any()
    assert painter.object_id == 1
    painter.mask = ball.masks[0]
    assert np.array_equal(painter.mask, ball.masks[0])
    assert MaskPainter(ball.frames[0], ball.masks[0]).object_id == 3  # its first object is chosen
    painter.mask[:] = 9  # a copy
    assert np.array_equal(painter.mask, ball.masks[0])


def test_what_a_browser_sends_is_the_mask(ball):
    painter = MaskPainter(ball.frames[0])
    seen = []
    painter.observe(lambda change: seen.append(painter.mask), "ids")
    painter.set_state({"author": "view 0.1", "ids": memoryview(packed(ball.masks[2]))})
    assert np.array_equal(painter.mask, ball.masks[2]) and len(seen) == 1


def test_every_id_survives_packing():
    ids = np.random.default_rng(0).integers(0, 256, (17, 23), dtype=np.uint8)
    assert np.array_equal(unpacked(packed(ids), (17, 23)), ids)


def test_files_are_opened_and_written(ball, tmp_path):
    Image.fromarray(ball.frames[0]).save(tmp_path / "frame.png")
    masks.write_mask(tmp_path / "first.png", ball.masks[0])
    painter = MaskPainter(tmp_path / "frame.png", tmp_path / "first.png")
    assert np.array_equal(painter.image, ball.frames[0]) and np.array_equal(painter.mask, ball.masks[0])
    painter.save(tmp_path / "new" / "00000.png")
    ids, grey = masks.read_mask(tmp_path / "new" / "00000.png")
    assert np.array_equal(ids, ball.masks[0]) and not grey
    Image.fromarray((ball.masks[0] == 3).astype(np.uint8) * 255).save(tmp_path / "white.png")
    painter.mask = tmp_path / "white.png"  # white on black is object 1
    assert np.array_equal(painter.mask, (ball.masks[0] == 3).astype(np.uint8))


def test_a_save_that_fails_leaves_the_old_file(ball, tmp_path, monkeypatch):
    painter = MaskPainter(ball.frames[0], ball.masks[0])
    painter.save(tmp_path / "00000.png")
    painter.mask = ball.masks[1]

    def full_disk(image, path, **options):
        path.write_bytes(b"half")
        raise OSError("no space left")

    monkeypatch.setattr(Image.Image, "save", full_disk)
    with pytest.raises(OSError):
        painter.save(tmp_path / "00000.png")
    assert [path.name for path in tmp_path.iterdir()] == ["00000.png"]
    assert np.array_equal(masks.read_mask(tmp_path / "00000.png")[0], ball.masks[0])


@pytest.mark.parametrize(
    "image, mask, sentence",
    [
        (np.zeros((4, 5), np.uint8), None, r"image must be uint8 \(H,W,3\)"),
        (np.zeros((4, 5, 3)), None, r"image must be uint8 \(H,W,3\).* got float64"),
        ("no such file.jpg", None, "does not exist"),
        (np.zeros((4, 5, 3), np.uint8), np.zeros((5, 4), np.uint8), "mask is 5x4 but the image is 4x5"),
        (np.zeros((4, 5, 3), np.uint8), np.zeros((4, 5)), "whole ids from 0 to 255"),
        (np.zeros((4, 5, 3), np.uint8), np.full((4, 5), 300), "whole ids from 0 to 255"),
        (np.zeros((4, 5, 3), np.uint8), "no such mask.png", "does not exist"),
    ],
)
def test_other_input_is_refused(as_user, image, mask, sentence):
    with pytest.raises(InputError, match=sentence):
        MaskPainter(image, mask)


def test_a_refused_mask_changes_nothing(ball, tmp_path):
    painter = MaskPainter(ball.frames[0], ball.masks[0])
    with pytest.raises(InputError, match="mask is 48x79"):
        painter.mask = ball.masks[0][:, 1:]
    with pytest.raises(InputError, match="must end in .png"):
        painter.save(tmp_path / "mask.jpg")
    assert np.array_equal(painter.mask, ball.masks[0]) and not list(tmp_path.iterdir())


def test_masks_of_whole_numbers_and_of_truth_values_are_taken(ball):
    painter = MaskPainter(ball.frames[0], ball.masks[0].astype(int))
    assert np.array_equal(painter.mask, ball.masks[0])
    painter.mask = ball.masks[0] == 3
    assert np.array_equal(painter.mask, ball.masks[0] == 3)


def test_its_twin_counts_the_pixels_and_stands_in_where_widgets_are_missing(ball):
    painter = MaskPainter(ball.frames[0], ball.masks[0])
    figure = painter.twin()
    assert figure.axes[1].get_title() == f"object 3: {(ball.masks[0] == 3).sum()} pixels, object 7: 220 pixels"
    matplotlib.pyplot.close(figure)
    bundle, _ = painter._repr_mimebundle_()
    assert "needs widgets" in bundle["text/html"] and "data:image/png;base64" in bundle["text/html"]
    assert "application/vnd.jupyter.widget-view+json" in bundle
