"""The photographs that `collage` cuts up for stcn-small: `python -m vos_lab.training.photographs OUT`, on Debian or Ubuntu.
With a number behind OUT, only so many, the first of the list (stcn-small-base was trained on 132).

They come from packages of wallpapers and of educational programs, free all of them (CC BY, CC BY-SA, CC0, GPL, LGPL, public
domain; usr/share/doc/PACKAGE/copyright names authors and licences, for gcompris the READMEs in its .rcc files).
photographs.txt lists the files. Fetched with `apt-get download`, unpacked with `dpkg-deb`: nothing is installed. Written as
JPEG, the shorter side 360 pixels.
"""

import io
import struct
import subprocess
import sys
import tempfile
import zlib
from collections.abc import Iterator
from pathlib import Path

from PIL import Image

from ..atomic import whole_file
from ..errors import InputError
from ..progress import progress

LIST = Path(__file__).with_name("photographs.txt")  # name here, package, path in it and, in a Qt resource file, the path there
SHORT_SIDE, QUALITY = 360, 88


def main() -> None:
    if len(sys.argv) not in (2, 3):
        raise SystemExit("give the folder for the photographs: python -m vos_lab.training.photographs OUT [COUNT]")
    out, wanted = Path(sys.argv[1]), [line.split() for line in LIST.read_text().splitlines()]
    wanted = wanted[: int(sys.argv[2])] if len(sys.argv) == 3 else wanted
    packages = sorted({package for _, package, *_ in wanted})
    with tempfile.TemporaryDirectory() as folder:
        for package in progress(packages, desc="fetching", unit="package"):
            try:
                subprocess.run(["apt-get", "download", package], cwd=folder, check=True, capture_output=True)
            except (OSError, subprocess.CalledProcessError):
                raise InputError(f"apt-get could not download {package}: this needs Debian or Ubuntu, online") from None
            (deb,) = Path(folder).glob(f"{package}_*.deb")
            subprocess.run(["dpkg-deb", "-x", deb, Path(folder, package)], check=True)
            for name, _, path, *inner in (line for line in wanted if line[1] == package):
                data = Path(folder, package, path).read_bytes()
                write(dict(resources(data))[inner[0]] if inner else data, out / name)
            deb.unlink()
    print(f"{len(wanted)} photographs in {out}")


def write(data: bytes, path: Path) -> None:
    """Smaller, as JPEG."""
    image = Image.open(io.BytesIO(data)).convert("RGB")
    scale = min(1, SHORT_SIDE / min(image.size))
    image = image.resize([round(side * scale) for side in image.size], Image.Resampling.LANCZOS)
    with whole_file(path) as draft:
        image.save(draft, quality=QUALITY)


def resources(file: bytes) -> Iterator[tuple[str, bytes]]:
    """Path and content of each file in a Qt resource file (.rcc): a tree of nodes, their names, their contents."""
    _, version, tree, contents, names = struct.unpack(">4s4I", file[:20])
    size = 22 if version >= 2 else 14  # of a node

    def walk(number: int, path: str) -> Iterator[tuple[str, bytes]]:
        at = tree + number * size
        name, flags = struct.unpack(">IH", file[at : at + 6])
        if number:
            (length,) = struct.unpack(">H", file[names + name : names + name + 2])
            path = f"{path}/{file[names + name + 6 : names + name + 6 + 2 * length].decode('utf-16-be')}".lstrip("/")
        if flags & 2:  # a folder: how many children, and the first one's number
            count, first = struct.unpack(">II", file[at + 6 : at + 14])
            for child in range(first, first + count):
                yield from walk(child, path)
        else:
            (place,) = struct.unpack(">I", file[at + 10 : at + 14])
            (length,) = struct.unpack(">I", file[contents + place : contents + place + 4])
            content = file[contents + place + 4 : contents + place + 4 + length]
            yield path, zlib.decompress(content[4:]) if flags & 1 else content

    return walk(0, "")


if __name__ == "__main__":
    main()
