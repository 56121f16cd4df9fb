"""Masks painted over frames, in colours that colour-blind people can tell apart. No matplotlib."""

import numpy as np
from jaxtyping import UInt8
from PIL import Image, ImageDraw

# Okabe and Ito's palette without black: object 1 is orange, object 2 sky blue, and so on, round and round.
OKABE_ITO = np.array(
    [(230, 159, 0), (86, 180, 233), (0, 158, 115), (240, 228, 66), (0, 114, 178), (213, 94, 0), (204, 121, 167)], dtype=np.uint8
)


def colour_of(object_id: int) -> tuple[int, int, int]:
    """The colour of an object id from 1 on."""
    red, green, blue = OKABE_ITO[(object_id - 1) % len(OKABE_ITO)].tolist()
    return red, green, blue


def overlay(
    frames: UInt8[np.ndarray, "T H W 3"], masks: UInt8[np.ndarray, "T H W"] | None, opacity: float = 0.6
) -> UInt8[np.ndarray, "T H W 3"]:
    """Objects tinted, with a white rim so that they can be seen in grey as well; void and background stay as they are.

    opacity: of the tint; 0 draws the rim alone.
    """
    if masks is None:
        return frames.copy()
    colours = np.zeros((256, 3), dtype=np.float32)
    colours[1:255] = [colour_of(i) for i in range(1, 255)]
    painted = frames.copy()
    for frame, mask in zip(painted, masks):
        inside = (mask > 0) & (mask < 255)
        if opacity:
            grey = frame[inside].mean(-1, keepdims=True)  # over a green object an orange tint would turn olive
            frame[inside] = (1 - opacity) * grey + opacity * colours[mask[inside]]
        padded = np.pad(mask, 1, mode="edge")
        around = [padded[1:-1, :-2], padded[1:-1, 2:], padded[:-2, 1:-1], padded[2:, 1:-1]]
        rim = np.any([mask != neighbour for neighbour in around], axis=0)
        frame[rim & inside] = 255
    return painted


def contact_sheet(frames: UInt8[np.ndarray, "T H W 3"], labels: list[str], columns: int = 4, width: int = 960) -> Image.Image:
    """The frames in rows, each with its label, in one picture of the given width in pixels."""
    columns = min(columns, len(frames))
    height, tile_w = frames.shape[1], width // columns
    scale = min(tile_w / frames.shape[2], width / height)  # a tall clip gets narrow pictures, not a sheet without end
    picture = (max(1, round(scale * frames.shape[2]) - 4), max(1, round(scale * height) - 4))
    tile_h = picture[1] + 4
    rows = -(-len(frames) // columns)
    sheet = Image.new("RGB", (tile_w * columns, tile_h * rows), "white")
    pen = ImageDraw.Draw(sheet)
    for i, (frame, label) in enumerate(zip(frames, labels)):
        corner = (i % columns * tile_w, i // columns * tile_h)
        sheet.paste(Image.fromarray(frame).resize(picture), corner)
        box = pen.textbbox((corner[0] + 6, corner[1] + 4), label, font_size=14)
        pen.rectangle((box[0] - 3, box[1] - 2, box[2] + 3, box[3] + 2), fill="black")
        pen.text((corner[0] + 6, corner[1] + 4), label, fill="white", font_size=14)
    return sheet
