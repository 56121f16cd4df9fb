"""A notebook as HTML that loads nothing: formulas become MathML, pictures move into the page, widgets go on living."""

import base64
import copy
import mimetypes
import os
from pathlib import Path
from typing import NamedTuple
from urllib.parse import unquote

import jinja2
import nbformat
from bs4 import BeautifulSoup
from markupsafe import escape
from math_core import LatexError, LatexToMathML
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, DeadKernelError
from nbconvert import HTMLExporter
from nbconvert.filters.markdown_mistune import IPythonRenderer, MarkdownWithMath
from nbformat import NotebookNode
from pygments.formatters import HtmlFormatter

from ..errors import InputError
from .page import works_offline

VIEW, STATE = "application/vnd.jupyter.widget-view+json", "application/vnd.jupyter.widget-state+json"
FETCHED = {"src", "srcset", "poster", "data", "href", "xlink:href"}  # attributes that make a browser load something
TO_MATHML = LatexToMathML(fancy_error=False, allow_unreliable_rendering=True)


class Shown(NamedTuple):
    html: str
    title: str  # the first heading
    summary: str  # its first paragraph
    widgets: dict[str, dict]  # id -> state as Jupyter saves it; the HTML has a place for each


def read(path: Path) -> NotebookNode:
    if path.suffix != ".ipynb" or not path.is_file():
        raise InputError(f"widget_or_notebook: '{path}' is not a notebook; give the path of an .ipynb file that exists.")
    try:
        return nbformat.read(path, as_version=4)
    except (nbformat.reader.NotJSONError, nbformat.ValidationError, AttributeError) as error:
        raise InputError(f"widget_or_notebook: '{path}' is not a valid notebook; open it in JupyterLab and save it.") from error


def run(notebook: NotebookNode, path: Path, fast: bool = False) -> None:
    """Run all cells in the notebook's folder; outputs and the state of widgets are written into `notebook`."""
    settings = {**os.environ, **({"VOS_LAB_FAST": "1"} if fast else {})}
    client = NotebookClient(notebook, timeout=None, kernel_name="python3", resources={"metadata": {"path": path.parent}})
    try:
        client.execute(env=settings)
    except CellExecutionError as error:
        number = max(i for i, cell in enumerate(notebook.cells, start=1) if has_failed(cell))
        raise InputError(f"'{path}' stopped at cell {number} with {error.ename}: {error.evalue}; mend that cell.") from error
    except DeadKernelError as error:
        raise InputError(f"'{path}': its kernel died, often for lack of memory; try VOS_LAB_FAST=1.") from error


def has_failed(cell: NotebookNode) -> bool:
    return any(output.output_type == "error" for output in cell.get("outputs", []))


def render(notebook: NotebookNode, path: Path) -> Shown:
    """The notebook as it stands, outputs included. path: beside which its pictures lie, and its name in errors."""
    saved = notebook.metadata.get("widgets", {}).get(STATE, {}).get("state", {})
    alive = {model_id: state for model_id, state in saved.items() if works_offline(state)}
    # the basic template: cells alone, without the scripts that the other templates take from elsewhere
    exporter = HTMLExporter(template_name="basic", exclude_input_prompt=True, exclude_output_prompt=True)
    exporter.register_filter("markdown2html", markdown_to_html)
    try:
        html, _ = exporter.from_notebook_node(with_places(notebook, alive))
        soup = BeautifulSoup(html, features="html.parser")
        move_in(soup, path.parent)
    except InputError as error:
        raise InputError(f"'{path}': {error}") from error
    heading = soup.find("h1")
    paragraph = heading.find_next("p") if heading else None
    colours = HtmlFormatter().get_style_defs(".highlight")
    return Shown(
        html=f"<style>{colours}</style>{soup}",
        title=heading.get_text().removesuffix("¶").strip() if heading else path.stem,
        summary=paragraph.get_text().strip() if paragraph else "",
        widgets={model_id: state for model_id, state in alive.items() if soup.select_one(f"[data-widget='{model_id}']")},
    )


def with_places(notebook: NotebookNode, alive: dict[str, dict]) -> NotebookNode:
    """A copy with an empty place for each widget that lives on. Another gives way to its twin; one without a twin (sliders,
    progress bars) would lie idle and is left out, and so are progress bars in plain text.
    """
    notebook = copy.deepcopy(notebook)
    notebook.metadata.pop("widgets", None)
    for output in (output for cell in notebook.cells for output in cell.get("outputs", [])):
        data = output.get("data", {})
        data.pop("application/javascript", None)  # written for the tools of a live notebook
        if VIEW in data and data[VIEW]["model_id"] in alive:
            output.data = {"text/html": f'<div data-widget="{escape(data[VIEW]["model_id"])}"></div>'}
        elif VIEW in data:
            output.data = {"text/html": data.get("text/html", "")}
        elif "text/latex" in data:
            data.setdefault("text/markdown", data["text/latex"])  # prose with a formula in it
        elif output.output_type == "stream":
            output.text = "\n".join(line for line in output.text.split("\n") if "\r" not in line)
    return notebook


@jinja2.pass_context
def markdown_to_html(context: jinja2.runtime.Context, source: str) -> str:
    attachments = context.get("cell", {}).get("attachments", {})
    return MarkdownWithMath(renderer=WithMathML(escape=False, attachments=attachments)).render(source)


class WithMathML(IPythonRenderer):
    """Markdown as Jupyter reads it, with formulas that the browser itself can draw."""

    def inline_math(self, body: str) -> str:
        return mathml(body, display=False)

    def block_math(self, body: str) -> str:
        return mathml(body, display=True)

    def latex_environment(self, name: str, body: str) -> str:
        return mathml(rf"\begin{{{name}}}{body}\end{{{name}}}", display=True)


def mathml(formula: str, display: bool) -> str:
    try:
        return TO_MATHML.convert_with_local_state(formula, displaystyle=display)
    except LatexError as error:
        raise InputError(f"the formula '{formula}' cannot be turned into MathML ({error}); write it in another way.") from error


def move_in(soup: BeautifulSoup, folder: Path) -> None:
    """Pictures and films on this disk become part of the page. InputError: something would be fetched from elsewhere."""
    for tag in soup.find_all(lambda tag: tag.name not in ("a", "area")):
        for name in FETCHED & tag.attrs.keys():
            address = str(tag[name])
            if not address.startswith(("data:", "#")):
                tag[name] = data_url_of(address, folder)


def data_url_of(address: str, folder: Path) -> str:
    file = folder / unquote(address)
    kind = mimetypes.guess_type(file.name)[0] or ""
    if not kind.startswith(("image/", "video/", "audio/")) or not file.is_file():
        raise InputError(
            f"'{address}' would be loaded from elsewhere; put it beside the notebook as a picture or film, or link to it."
        )
    return f"data:{kind};base64,{base64.b64encode(file.read_bytes()).decode()}"
