"""TrackPlayer in a real JupyterLab: it plays, jumps, steps, compares, and tells Python which frame is shown."""

import re
import time
from pathlib import Path

import numpy as np
import pytest

from vos_lab import draw

OPEN = """
import numpy as np, vos_lab as vl
from vos_lab import show
from vos_lab.track import Track
clip = vl.Clip.load("../data/samples/JPEGImages/480p/walk")
good, bad = clip.masks.copy(), np.roll(clip.masks, 3, axis=2)
good[17][good[17] == 2] = 0  # object 2 is lost in frame 17
player = show.TrackPlayer(clip, Track(good), Track(bad), names=("one frame lost", "shifted"))
player.observe(lambda change: open("frame", "w").write(str(change.new)), "frame")
player
"""


class Hand:
    """The widget on a page, and what a hand can do with it."""

    def __init__(self, page, folder):
        self.page, self.folder = page, folder
        self.screen, self.chart = (page.locator(f".player canvas >> nth={i}") for i in (0, 1))

    def frame(self):
        """The number of the frame that is shown."""
        return int(re.match(r"Frame (\d+) ", self.page.inner_text(".player .words"))[1])

    def shows(self, frame):
        self.page.wait_for_selector(f".player .words >> text=Frame {frame} of 0 to 23", timeout=10_000)

    def press(self, key, frame):
        self.page.keyboard.press(key)
        self.shows(frame)

    def python_knows(self, frame):
        end = time.monotonic() + 10
        while (self.folder / "frame").read_text() != str(frame):
            assert time.monotonic() < end, f"Python is told {(self.folder / 'frame').read_text()}, not {frame}"
            time.sleep(0.02)


@pytest.fixture(scope="module")
def hand(opened, lab):
    with opened("player.ipynb", OPEN, height=1100) as page:
        page.wait_for_selector(".player .words >> text=Frame 0")
        (lab.folder / "notebooks" / "frame").write_text("0")
        yield Hand(page, lab.folder / "notebooks")


@pytest.fixture(autouse=True)
def first_frame(hand):
    hand.screen.focus()
    hand.press("Home", 0)


def test_it_plays_on_and_stops(hand):
    hand.page.keyboard.press(" ")
    hand.page.wait_for_selector(".player >> text=Pause")
    seen = set()
    end = time.monotonic() + 10
    while len(seen) < 4 and time.monotonic() < end:
        seen.add(hand.frame())
    hand.page.keyboard.press(" ")
    assert len(seen) >= 4
    hand.page.wait_for_selector(".player >> text=Play (Space)")
    hand.page.wait_for_timeout(300)  # what was on its way has arrived
    stopped = hand.frame()
    hand.page.wait_for_timeout(500)
    assert hand.frame() == stopped
    hand.python_knows(stopped)


def test_arrow_keys_step_and_the_slider_slides(hand):
    hand.press("ArrowRight", 1)
    hand.press("ArrowRight", 2)
    hand.press("ArrowLeft", 1)
    hand.press("End", 23)
    hand.press("ArrowRight", 23)  # the last stays the last
    hand.page.locator(".player input[aria-label=frame]").evaluate(
        "node => { node.value = 11; node.dispatchEvent(new Event('input')); }"
    )
    hand.shows(11)
    hand.python_knows(11)


def test_a_click_on_the_timeline_jumps_there(hand):
    box = hand.chart.bounding_box()
    x = lambda frame: box["x"] + 30 + (box["width"] - 42) * frame / 23  # the margins of timeline.js
    hand.page.mouse.click(x(9), box["y"] + 60)
    hand.shows(9)
    hand.python_knows(9)
    hand.page.mouse.move(x(9), box["y"] + 60)
    hand.page.mouse.down()
    for frame in (10, 12, 15):
        hand.page.mouse.move(x(frame), box["y"] + 60)
    hand.page.mouse.up()
    hand.shows(15)


def test_it_finds_the_worst_frame_and_where_the_tracks_differ_most(hand, shots):
    hand.press("w", 17)
    words = hand.page.inner_text(".player .words")
    assert re.search(r"one frame lost: mean J 0\.50, F 0\.50 \(its worst J\)", words), words
    hand.press("Home", 0)
    hand.press("d", 17)
    hand.page.screenshot(path=shots / "player.png")
    hand.page.keyboard.press("f")
    hand.page.wait_for_selector(".player button[aria-pressed=true] >> text=F")
    hand.page.keyboard.press("j")


def test_the_overlay_is_drawn_as_python_draws_it(hand):
    """The same pixels and ids through draw.overlay and through masks.js."""
    rng = np.random.default_rng(0)
    frame = rng.integers(0, 256, (12, 15, 3), dtype=np.uint8)
    ids = np.repeat(np.repeat(rng.choice([0, 1, 2, 9, 255], (4, 5)), 3, 0), 3, 1).astype(np.uint8)
    source = Path(draw.__file__).parent / "show" / "widgets"
    script = "\n".join((source / name).read_text() for name in ("common.js", "masks.js"))
    rgba = np.concatenate([frame, np.full((12, 15, 1), 255, np.uint8)], 2)
    for opacity in (0.0, 0.25, 0.6):
        drawn = hand.page.evaluate(
            f"""([frame, ids, opacity]) => {{ {script}
                const out = new Uint8ClampedArray(frame.length);
                overlay(out, Uint8ClampedArray.from(frame), ids, 15, 12, opacity);
                return Array.from(out);
            }}""",
            [rgba.ravel().tolist(), ids.ravel().tolist(), opacity],
        )
        expected = draw.overlay(frame[None], ids[None], opacity)[0].astype(int)
        assert np.abs(np.array(drawn).reshape(12, 15, 4)[..., :3] - expected).max() <= 1  # both round floats down


def test_keys_do_not_reach_jupyterlab(hand):
    cells = hand.page.locator(".jp-Notebook .jp-Cell").count()
    hand.page.keyboard.press("o")
    hand.page.keyboard.press("d")
    hand.page.keyboard.press("d")  # twice d would delete the cell
    hand.page.keyboard.press("o")
    assert hand.page.locator(".jp-Notebook .jp-Cell").count() == cells
