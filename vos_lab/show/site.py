"""`make site`: runs all notebooks and builds a gallery that needs no server, with the reference of all public names from their
docstrings beside it: python -m vos_lab.show.site notebooks site"""

import base64
import io
import re
import sys
import time
from pathlib import Path

import jinja2
import numpy as np
import pdoc
from nbformat import NotebookNode
from PIL import Image

from .. import __version__
from ..atomic import whole_folder
from ..errors import InputError
from . import notebook
from .page import page
from .widgets.base import data_url, jpeg

INDEX = """<main><h1>vos_lab</h1>
<p>See how a video object segmenter thinks. Each page is a notebook that has been run: what moves in it moves here as well,
without Python. To change the code, open the notebooks themselves.</p>
<ul class="gallery">
{%- for name, shown, thumbnail in shelf %}
<li><a href="{{ name }}.html">
{%- if thumbnail %}<img alt="" src="{{ thumbnail }}">{% else %}<div class="none"></div>{% endif %}
<h2>{{ shown.title }}</h2><p>{{ shown.summary }}</p></a></li>
{%- endfor %}
</ul>
<p><a href="api/vos_lab.html">All public names</a>, with shapes and sources. Built with vos_lab {{ version }}.</p></main>"""
LINKS = """<nav aria-label="notebooks">
<span>{% if before %}<a href="{{ before[0] }}.html" rel="prev">← {{ before[1].title }}</a>{% endif %}</span>
<a href="index.html">all notebooks</a>
<span>{% if after %}<a href="{{ after[0] }}.html" rel="next">{{ after[1].title }} →</a>{% endif %}</span>
</nav>"""
MODULES = ("vos_lab", "vos_lab.training", "vos_lab.labs.checks", "vos_lab.errors")  # and all public ones below
template = jinja2.Environment(autoescape=True).from_string
Entry = tuple[str, notebook.Shown, str | None]  # file name without ending, what the page shows, thumbnail as a data URL


def build(folder: Path, out: Path) -> list[str]:
    """Run each notebook of `folder`, write `out` anew from those that ran, and return a sentence for each that did not."""
    paths = sorted(folder.glob("*.ipynb"))
    if not paths:
        raise InputError(f"folder: '{folder}' holds no notebook.")
    if out.is_dir() and any(out.iterdir()) and not (out / "index.html").exists():
        raise InputError(f"out: '{out}' holds something else than a site and would be replaced; give another folder.")
    shelf: list[Entry] = []
    faults: list[str] = []
    for path in paths:
        print(path.name, end=" ", flush=True)
        began = time.monotonic()
        try:
            source = notebook.read(path)
            notebook.run(source, path)
            shelf.append((path.stem, notebook.render(source, path), thumbnail(source)))
        except InputError as error:
            faults.append(str(error))
        print(f"{(time.monotonic() - began) / 60:.1f} minutes", flush=True)
    if shelf:
        write(shelf, out)
    return faults


def write(shelf: list[Entry], out: Path) -> None:
    names = {name for name, *_ in shelf}
    with whole_folder(out) as draft:
        for before, entry, after in zip([None, *shelf], shelf, [*shelf[1:], None]):
            name, shown, _ = entry
            links = template(LINKS).render(before=before, after=after)
            body = f"{links}<main>{between_pages(shown.html, names)}</main>{links}"
            (draft / f"{name}.html").write_text(page(shown.title, body, shown.widgets), encoding="utf-8")
        index = template(INDEX).render(shelf=shelf, version=__version__)
        (draft / "index.html").write_text(page("vos_lab", index, {}), encoding="utf-8")
        pdoc.pdoc(*MODULES, output_directory=draft / "api")


def between_pages(html: str, names: set[str]) -> str:
    """Links from notebook to notebook become links from page to page, where there is one."""
    known = "|".join(map(re.escape, names))
    return re.sub(rf'href="({known})\.ipynb(?=["#])', r'href="\1.html', html)


def thumbnail(source: NotebookNode, width: int = 480) -> str | None:
    """The first picture (PNG, JPEG, GIF) in the outputs, made small, as a data URL."""
    for output in (output for cell in source.cells for output in cell.get("outputs", [])):
        data = output.get("data", {})
        inside = re.search(r'src="data:image/(?:png|jpeg|gif);base64,([^"]+)"', data.get("text/html", ""))
        found = data.get("image/png") or data.get("image/jpeg") or (inside and inside[1])
        if found:
            picture = Image.open(io.BytesIO(base64.b64decode(found))).convert("RGBA")
            picture = Image.alpha_composite(Image.new("RGBA", picture.size, "white"), picture).convert("RGB")
            picture.thumbnail((width, 10 * width))
            return data_url(jpeg(np.asarray(picture)), "image/jpeg")
    return None


if __name__ == "__main__":
    folder, out = map(Path, sys.argv[1:])
    try:
        faults = build(folder, out)
    except InputError as error:
        sys.exit(str(error))
    print(f"{out / 'index.html'} is ready to be opened." if (out / "index.html").exists() else "No notebook ran.")
    if faults:
        sys.exit("\n".join(faults))
