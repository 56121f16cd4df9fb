"""`make address REPOSITORY=you/vos_lab`: says where this repository lies on GitHub into the links of README.md (Binder, Colab)
and into the cells with which notebooks install the kit in Colab."""

import re
import sys
from pathlib import Path

from ..atomic import whole_file
from ..errors import InputError

PLACES = re.compile(r"(git\+https://github\.com/|mybinder\.org/v2/gh/|colab\.research\.google\.com/github/)[\w.-]+/[\w.-]+")


def write(repository: str, paths: list[Path]) -> None:
    """Raises InputError for what is not OWNER/NAME, and for a file that names no repository; then nothing is written."""
    if not re.fullmatch(r"[\w.-]+/[\w.-]+", repository):
        raise InputError(f"repository: wanted OWNER/NAME, got '{repository}'.")
    texts = {path: path.read_text(encoding="utf-8") for path in paths}
    if missing := [str(path) for path, text in texts.items() if not PLACES.search(text)]:
        raise InputError(f"{', '.join(missing)}: no link that names the repository.")
    for path, text in texts.items():
        with whole_file(path) as draft:
            draft.write_text(PLACES.sub(rf"\g<1>{repository}", text), encoding="utf-8")


if __name__ == "__main__":
    try:
        write(sys.argv[1], [Path(path) for path in sys.argv[2:]])
    except InputError as error:
        sys.exit(str(error))
