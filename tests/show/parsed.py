"""An HTML file as a browser would take it, for the tests of pages."""

import json
from html.parser import HTMLParser
from pathlib import Path


class Parsed(HTMLParser):
    """What a browser would find: elements with their attributes and text, and the addresses that it would load."""

    def __init__(self, path: Path):
        super().__init__()
        self.found: list[tuple[str, dict, list[str]]] = []
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag, attributes):
        self.found.append((tag, dict(attributes), []))

    def handle_data(self, data):
        if self.found:
            self.found[-1][2].append(data)

    def all(self, tag: str) -> list[dict]:
        return [attributes for name, attributes, _ in self.found if name == tag]

    def text(self, tag: str) -> str:
        return "".join("".join(text) for name, _, text in self.found if name == tag)

    def loads(self) -> list[str]:
        names = ("src", "srcset", "href", "data", "poster")
        found = [attributes[n] for tag, attributes, _ in self.found if tag != "a" for n in names if n in attributes]
        return [address for address in found if not address.startswith("data:")]

    def widgets(self) -> dict:
        """The JSON that offline.js reads."""
        (text,) = ["".join(text) for _, attributes, text in self.found if attributes.get("id") == "widgets"]
        return json.loads(text)
