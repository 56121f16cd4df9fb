"""MaskPainter in a real JupyterLab: painted with mouse and keyboard, and read back in Python, pixel by pixel."""

import time

import numpy as np
import pytest
from PIL import Image
from skimage.measure import points_in_poly

HEIGHT, WIDTH = 240, 432
OPEN = """
import numpy as np
from vos_lab import show
painter = show.MaskPainter("../data/samples/JPEGImages/480p/walk/00000.jpg")
painter.observe(lambda change: np.save("painted.npy", painter.mask), "ids")
np.save("painted.npy", painter.mask)
painter
"""


class Hand:
    """The widget on a page, and what a hand can do with it."""

    def __init__(self, page, folder):
        self.page, self.folder = page, folder
        self.canvas = page.locator(".painter canvas")

    def at(self, x, y):
        """Where on the page the middle of a pixel is, in the view of the whole image."""
        box = self.canvas.bounding_box()
        return box["x"] + (x + 0.5) * box["width"] / WIDTH, box["y"] + (y + 0.5) * box["height"] / HEIGHT

    def drag(self, *places):
        self.page.mouse.move(*self.at(*places[0]))
        self.page.mouse.down()
        for place in places[1:]:
            self.page.mouse.move(*self.at(*place))
        self.page.mouse.up()

    def press(self, *keys):
        for key in keys:
            self.page.keyboard.press(key)

    def brush(self, size):
        self.page.locator(".painter input[type=range]").first.evaluate(
            "(node, size) => { node.value = size; node.dispatchEvent(new Event('input')); }", size
        )

    def python(self, code):
        """Run code in a new cell."""
        (self.folder / "done").unlink(missing_ok=True)
        self.page.locator(".jp-Notebook .jp-CodeCell .cm-content").last.click()
        self.page.keyboard.insert_text(f"{code}\nopen('done', 'w').close()")
        self.page.keyboard.press("Shift+Enter")
        wait(lambda: (self.folder / "done").exists(), f"the cell did not run: {code}", 30)

    def reads(self, expected):
        """Wait until Python's mask is what is expected, exactly."""
        wait(lambda: np.array_equal(self.painted(), expected), lambda: difference(self.painted(), expected))

    def painted(self):
        try:
            return np.load(self.folder / "painted.npy")
        except (ValueError, EOFError):  # while it is being written
            return None


def wait(happens, otherwise, seconds=10):
    end = time.monotonic() + seconds
    while not happens():
        assert time.monotonic() < end, otherwise() if callable(otherwise) else otherwise
        time.sleep(0.02)


def difference(found, expected):
    places = [(int(x), int(y), int(found[y, x]), int(expected[y, x])) for y, x in np.argwhere(found != expected)[:9]]
    return f"{(found != expected).sum()} pixels differ: x, y, found, expected = {places} ..."


def stroke(size, *places):
    """What a brush must mark: pixels whose middle is within size/2 of the lines between the middles of the places."""
    y, x = np.mgrid[:HEIGHT, :WIDTH].astype(float)
    marked = np.zeros((HEIGHT, WIDTH), bool)
    for (ax, ay), (bx, by) in zip(places, places[1:] or places):
        dx, dy = bx - ax, by - ay
        along = np.clip(((x - ax) * dx + (y - ay) * dy) / max(dx * dx + dy * dy, 1), 0, 1)
        marked |= (x - ax - along * dx) ** 2 + (y - ay - along * dy) ** 2 <= (size / 2) ** 2
    return marked


@pytest.fixture(scope="module")
def hand(opened, lab):
    with opened("painter.ipynb", OPEN, "", height=1300) as page:
        page.wait_for_selector(".painter .words >> text=Draw on the image")
        yield Hand(page, lab.folder / "notebooks")


@pytest.fixture(autouse=True)
def empty(hand):
    """Each test begins with an empty mask, the brush, object 1 and the whole image."""
    hand.python(f"painter.mask = np.zeros({(HEIGHT, WIDTH)}, np.uint8); painter.object_id = 1")
    hand.canvas.focus()
    hand.press("Escape", "0", "b")
    hand.brush(9)


def test_strokes_of_brush_and_eraser_are_read_back_exactly(hand, shots):
    expected = np.zeros((HEIGHT, WIDTH), np.uint8)
    hand.drag((20, 30), (80, 61), (120, 40))
    expected[stroke(9, (20, 30), (80, 61), (120, 40))] = 1
    hand.reads(expected)
    hand.press("n")
    hand.brush(5)
    hand.drag((60, 20), (60, 90))
    expected[stroke(5, (60, 20), (60, 90))] = 2
    hand.reads(expected)
    hand.press("e")
    hand.drag((10, 50), (150, 50))
    expected[stroke(5, (10, 50), (150, 50))] = 0
    hand.reads(expected)
    hand.page.screenshot(path=shots / "painter.png")
    assert hand.page.locator(".painter [data-object='2']").inner_text() == f"object 2: {(expected == 2).sum():,} px"
    assert hand.page.locator(".jp-Notebook .jp-Cell").count() < 20  # no key reached JupyterLab, where b adds a cell


def test_one_click_with_the_smallest_brush_marks_one_pixel(hand):
    hand.brush(1)
    expected = np.zeros((HEIGHT, WIDTH), np.uint8)
    for x, y in ((0, 0), (WIDTH - 1, HEIGHT - 1), (100, 7)):
        hand.drag((x, y))
        expected[y, x] = 1
    hand.reads(expected)


def test_undo_and_redo(hand):
    masks = [hand.painted()]
    for y in (20, 40, 60):
        hand.drag((30, y), (90, y + 3))
        expected = masks[-1].copy()
        expected[stroke(9, (30, y), (90, y + 3))] = 1
        masks.append(expected)
    hand.reads(masks[3])
    hand.press("Control+z")
    hand.reads(masks[2])
    hand.page.click(".painter button >> text=Undo")
    hand.reads(masks[1])
    hand.press("Control+Shift+z")
    hand.reads(masks[2])
    hand.page.click(".painter button >> text=Redo")
    hand.reads(masks[3])
    hand.press("Control+z")
    hand.reads(masks[2])
    hand.canvas.focus()
    hand.drag((150, 100), (160, 100))  # a new stroke: nothing is left to redo
    assert hand.page.locator(".painter button >> text=Redo").get_attribute("aria-disabled") == "true"


def test_a_polygon_has_its_corners_its_outline_and_its_inside(hand):
    corners = [(30, 20), (130, 35), (90, 70), (110, 100), (25, 80)]
    hand.press("p")
    for corner in [*corners, corners[0]]:  # back to the first corner closes it
        hand.drag(corner)
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    inside = points_in_poly(np.stack([x.ravel(), y.ravel()], 1), corners).reshape(HEIGHT, WIDTH)
    expected = (inside | stroke(1, *corners, corners[0])).astype(np.uint8)
    hand.reads(expected)


def test_zoomed_in_the_brush_still_hits_the_pixel_under_the_mouse(hand, shots):
    x, y = hand.at(150, 80)
    hand.page.mouse.move(x, y)
    hand.page.keyboard.down("Control")
    for _ in range(4):
        hand.page.mouse.wheel(0, -150)
    hand.page.keyboard.up("Control")
    hand.page.wait_for_selector(".painter >> text=8.0×")
    hand.brush(1)
    box = hand.canvas.bounding_box()
    across = box["width"] / WIDTH * 8  # CSS pixels per pixel of the image
    hand.page.mouse.down()  # the place under the mouse has stayed
    hand.page.mouse.move(x + 5 * across, y)
    hand.page.mouse.move(x + 5 * across, y - 3 * across)
    hand.page.mouse.up()
    expected = np.zeros((HEIGHT, WIDTH), np.uint8)
    expected[80, 150:156] = expected[77:81, 155] = 1
    hand.reads(expected)
    hand.page.screenshot(path=shots / "painter_zoomed.png")
    hand.page.keyboard.down("Shift")  # move the view by two pixels, then paint the same spot of the screen
    hand.page.mouse.down()
    hand.page.mouse.move(x + 7 * across, y - 3 * across)
    hand.page.mouse.up()
    hand.page.keyboard.up("Shift")
    hand.page.mouse.move(x, y)
    hand.page.mouse.down()
    hand.page.mouse.up()
    expected[80, 148] = 1
    hand.reads(expected)


def test_the_keyboard_alone_can_paint(hand):
    hand.brush(3)
    hand.drag((50, 50))  # the cursor is where the mouse was
    hand.press("Shift+ArrowRight", "ArrowDown", "3", " ")
    expected = np.zeros((HEIGHT, WIDTH), np.uint8)
    expected[49:52, 49:52], expected[50:53, 59:62] = 1, 3
    hand.reads(expected)
    hand.press("[")  # a brush of one pixel; held, Space draws
    hand.page.keyboard.down(" ")
    hand.press("Shift+ArrowDown", "ArrowRight", "ArrowRight")
    hand.page.keyboard.up(" ")
    expected[51:62, 60] = expected[61, 60:63] = 3
    hand.reads(expected)
    hand.press("p", " ", "Shift+ArrowRight", " ", "Shift+ArrowDown", " ", "Enter")
    expected[np.tril(np.ones((11, 11), bool)).T.nonzero()[0] + 61, np.tril(np.ones((11, 11), bool)).T.nonzero()[1] + 62] = 3
    hand.reads(expected)


def test_other_objects_can_be_left_as_they_are(hand):
    hand.drag((60, 60))
    hand.reads(stroke(9, (60, 60)).astype(np.uint8))
    hand.page.check(".painter >> text=leave other objects")
    hand.press("2")
    hand.drag((40, 60), (80, 60))
    expected = 2 * stroke(9, (40, 60), (80, 60)).astype(np.uint8)
    expected[stroke(9, (60, 60))] = 1
    hand.reads(expected)
    hand.page.uncheck(".painter >> text=leave other objects")


def test_a_mask_set_in_python_is_shown_painted_over_undone_and_saved(hand):
    hand.python("given = painter.mask; given[10:40, 10:60] = 7; given[100:] = 255; painter.mask = given")
    hand.page.wait_for_selector(".painter [data-object='7'] >> text=1,500 px")
    hand.canvas.focus()
    hand.press("7")
    hand.drag((100, 80))
    expected = np.zeros((HEIGHT, WIDTH), np.uint8)
    expected[10:40, 10:60], expected[100:] = 7, 255
    expected[stroke(9, (100, 80))] = 7
    hand.reads(expected)
    hand.python("painter.save('00000.png')")
    with Image.open(hand.folder / "00000.png") as saved:
        assert saved.mode == "P" and np.array_equal(np.asarray(saved), expected)
    hand.canvas.focus()
    hand.press("Control+z", "Control+z")
    hand.reads(np.zeros((HEIGHT, WIDTH), np.uint8))
