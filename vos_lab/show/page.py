"""Pages that need no kernel and no network: a widget or a notebook in one HTML file."""

import json
from pathlib import Path
from typing import Any

from ..atomic import whole_file
from ..errors import InputError

FOLDER = Path(__file__).parent
# The browser may use what is inside the page, and must not fetch anything from anywhere.
POLICY = "default-src data: blob: 'unsafe-inline'; base-uri 'none'; form-action 'none'"
PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="{{ policy }}">
<title>{{ title }}</title>
<style>{{ style }}</style>
</head>
<body>
{{ body }}
{%- if widgets %}
<noscript>The widgets of this page need JavaScript.</noscript>
<script type="application/json" id="widgets">{{ widgets }}</script>
<script type="module">
{{ offline }}</script>
{%- endif %}
</body>
</html>
"""
# Without Python behind them these would lie idle: a page shows their twin.
NEED_A_KERNEL = {"MemorySurgery", "MaskPainter", "TrainingMonitor"}


def export(widget_or_notebook: Any, path: str | Path, title: str | None = None, fast: bool = False) -> Path:
    """One HTML file that works when opened from disk, without kernel and network; its path.

    widget_or_notebook: a widget as it is now (AffinityExplorer, FalseMatchAtlas, TrackPlayer, any other anywidget that does
    without Python), or the path of a notebook. One without outputs is run first, in its own folder; fast: with
    VOS_LAB_FAST=1. title: of the page, in place of the widget's name or the notebook's heading.
    InputError: for anything else, for a notebook that fails, and for one that takes pictures or scripts from the web.
    """
    path = Path(path)
    if path.suffix != ".html" or path.is_dir():
        raise InputError(f"path: '{path}' should be the name of a file that ends in .html.")
    if isinstance(widget_or_notebook, (str, Path)):
        page = page_of_notebook(Path(widget_or_notebook), title, fast)
    else:
        page = page_of_widget(widget_or_notebook, title)
    with whole_file(path) as draft:
        draft.write_text(page, encoding="utf-8")
    return path


def page_of_notebook(path: Path, title: str | None, fast: bool) -> str:
    from . import notebook  # needs nbconvert, which takes a second to load

    source = notebook.read(path)
    shown = notebook.render(source, path)  # so that a fault in the prose shows before the cells run
    if not any(cell.get("outputs") for cell in source.cells):
        notebook.run(source, path, fast)
        shown = notebook.render(source, path)
    return page(title or shown.title, f"<main>{shown.html}</main>", shown.widgets)


def page_of_widget(widget: Any, title: str | None) -> str:
    from anywidget import AnyWidget
    from markupsafe import escape

    name = type(widget).__name__
    if not isinstance(widget, AnyWidget):
        raise InputError(f"widget_or_notebook: {name} is neither a widget of vos_lab nor the path of a notebook.")
    title = title or name
    if name in NEED_A_KERNEL:
        from .widgets.base import data_url, picture_of

        picture = data_url(picture_of(widget.twin()))
        shown, widgets = f'<img alt="{escape(getattr(widget, "about", name))}" src="{picture}">', {}
    else:
        (saved,) = widget.get_manager_state(widgets=[widget])["state"].values()
        shown, widgets = '<div data-widget="widget"></div>', {"widget": saved}
    return page(title, f"<main><h1>{escape(title)}</h1>{shown}</main>", widgets)


def page(title: str, body: str, widgets: dict[str, dict]) -> str:
    """A whole page. body: trusted HTML, `<div data-widget="ID">` where a widget goes; widgets: ID -> its saved state."""
    import jinja2
    from markupsafe import Markup

    return (
        jinja2.Environment(autoescape=True)
        .from_string(PAGE)
        .render(
            title=title,
            policy=POLICY,
            style=Markup((FOLDER / "page.css").read_text(encoding="utf-8")),
            body=Markup(body),
            widgets=Markup(data_of(widgets)) if widgets else None,
            offline=Markup((FOLDER / "offline.js").read_text(encoding="utf-8")),
        )
    )


def works_offline(saved: dict) -> bool:
    """Whether a widget's saved state holds a front end of its own that can do without Python."""
    state = saved.get("state", {})
    return "_esm" in state and state.get("_anywidget_id", "").split(".")[-1] not in NEED_A_KERNEL


def data_of(widgets: dict[str, dict]) -> str:
    """The widgets as JSON for offline.js. Scripts and style sheets stand in `texts` once each; a widget has their numbers."""
    from anywidget import AnyWidget
    from jupyter_client.jsonutil import json_clean

    of_jupyter = {*AnyWidget.class_trait_names(sync=True), "_esm", "_css", "_anywidget_id"}
    texts: dict[str, int] = {}
    number = lambda text: None if text is None else texts.setdefault(text, len(texts))
    models = {}
    for model_id, saved in widgets.items():
        state = saved["state"]
        models[model_id] = {
            "script": number(state["_esm"]),
            "style": number(state.get("_css")),
            "state": {name: value for name, value in state.items() if name not in of_jupyter},
            "buffers": [{"path": buffer["path"], "data": buffer["data"]} for buffer in saved.get("buffers", [])],
        }
    # cleaned as a kernel does it, nan becomes "nan"; without any "<", nothing in the data can end the script that holds it
    return json.dumps(json_clean({"texts": list(texts), "models": models})).replace("<", "\\u003c")
