"""What all widgets share."""

import base64
import io
from pathlib import Path

import anywidget
import matplotlib.pyplot as plt
import numpy as np
from jaxtyping import UInt8
from matplotlib.figure import Figure
from PIL import Image

FOLDER = Path(__file__).parent


class Widget(anywidget.AnyWidget):
    """A widget whose front end is common.js, what it `needs` beside, and the ES module of its own (`script`), one after the
    other: so no import is needed there. A style sheet of the script's name is taken in, too.

    The front end knows the model only by get, set, save_changes, on, off and send: so it works in an exported page as well,
    where a few lines stand in for the kernel. about: one sentence that the widget shows above itself.
    """

    about = ""

    def __init_subclass__(cls, script: str = "", needs: tuple[str, ...] = (), **options):
        if script:
            text = lambda name: (FOLDER / name).read_text(encoding="utf-8")
            cls._esm = "\n".join(text(name) for name in ("common.js", *needs, script))
            own = Path(script).with_suffix(".css")
            cls._css = "\n".join(text(name) for name in ("common.css", own) if (FOLDER / name).exists())
        super().__init_subclass__(**options)

    def twin(self) -> Figure:
        """The same in a plain picture, for places without widgets."""
        raise NotImplementedError

    def _repr_mimebundle_(self, **options):
        """Where the front end knows no widgets, it falls back to the HTML: a sentence that says so, and the twin."""
        found = super()._repr_mimebundle_(**options)
        bundle, metadata = found if isinstance(found, tuple) else (found, {})
        if bundle is not None:
            words = f"{type(self).__name__} needs widgets, which are not installed or not running here. A picture in its place:"
            bundle["text/html"] = f'<p>{words}</p><img alt="{self.about}" src="{data_url(picture_of(self.twin()))}">'
        return bundle, metadata


def jpeg(frame: UInt8[np.ndarray, "H W 3"], quality: int = 80) -> bytes:
    """A frame as a JPEG, to be sent to a front end."""
    file = io.BytesIO()
    Image.fromarray(frame).save(file, "JPEG", quality=quality)
    return file.getvalue()


def png(mask: UInt8[np.ndarray, "H W"]) -> bytes:
    """A mask as a grey PNG whose values are its ids."""
    file = io.BytesIO()
    Image.fromarray(mask).save(file, "PNG")
    return file.getvalue()


def picture_of(figure: Figure) -> bytes:
    """A figure as a PNG; the figure is closed."""
    file = io.BytesIO()
    figure.savefig(file, format="png", dpi=80)
    plt.close(figure)
    return file.getvalue()


def data_url(picture: bytes, kind: str = "image/png") -> str:
    return f"data:{kind};base64,{base64.b64encode(picture).decode()}"
