"""Fetch a data set from its official address: a break is resumed, a wrong or unsafe file refused, nothing left half-done."""

import errno
import hashlib
import http.client
import os
import re
import shutil
import stat
import time
import urllib.error
import urllib.request
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from ..atomic import whole_folder
from ..errors import InputError
from ..progress import progress
from .youtube_vos import SERVERS

PATIENCE = 5  # tries in a row that bring nothing, before giving up
TIMEOUT = 30  # seconds without a byte
BLOCK = 1 << 16  # bytes; what a break can lose
UNPACKED_AT_MOST = 4  # times the archive's size: JPEG and PNG hardly shrink in a zip, a bomb does

CC_BY_NC = "CC BY-NC 4.0 (https://creativecommons.org/licenses/by-nc/4.0), some clips under their YouTube uploaders' terms"


@dataclass(frozen=True)
class Archive:
    """A zip that can be had without registration.

    folder: what it becomes below root. size (bytes), checksum ("sha256:..." or "md5:..."): None where none was found; then
    only the zip's own checksums are checked. licence: as README.md in the archive states it.
    """

    url: str
    folder: str
    size: int | None
    checksum: str | None
    licence: str
    page: str


ETH = "https://data.vision.ee.ethz.ch/csergi/share/davis"
ARCHIVES = {
    "davis-2016": Archive(
        "https://graphics.ethz.ch/Downloads/Data/Davis/DAVIS-data.zip",
        "DAVIS-2016",
        None,  # 1.9 GB, says the authors' data/get_davis.sh (github.com/davisvideochallenge/davis), which has this MD5 too
        "md5:0cb3cf9c5617209fa3cc4794e52a2ffa",
        CC_BY_NC,
        "https://davischallenge.org/davis2016/code.html",
    ),
    "davis-2017": Archive(
        f"{ETH}/DAVIS-2017-trainval-480p.zip",
        "DAVIS-2017",
        # The authors publish neither; several public projects record this size and this SHA-256.
        832_766_765,
        "sha256:e3d0b5b77c3d031b000a19e0e25e3e2cac65d183755601bc2cf066df1a2aa492",
        CC_BY_NC,
        "https://davischallenge.org/davis2017/code.html",
    ),
    "davis-2017-test-dev": Archive(
        f"{ETH}/DAVIS-2017-test-dev-480p.zip",
        "DAVIS-2017-test-dev",
        None,
        None,
        CC_BY_NC,
        "https://davischallenge.org/davis2017/code.html",
    ),
}
BY_HAND = {
    "youtube-vos": "YouTube-VOS lies on Google Drive, which only a browser can load from: follow the links for your year at "
    f"https://youtube-vos.org/dataset/vos, or register at {SERVERS[2018]} (2018) or {SERVERS[2019]} (2019); unpack train, "
    "valid and, for all frames, valid_all_frames into {root}. Its annotations are CC BY 4.0, its videos for non-commercial "
    "research only (https://youtube-vos.org/dataset/term). Meanwhile vl.World(seed=0).clip() needs no data"
}
NAMES = (*ARCHIVES, *BY_HAND)


def download(name: str, root: str | Path) -> Path:
    """Fetch and unpack a data set into a folder of its own below root, and return that folder; `DAVIS(root)` finds it there.

    name: one of NAMES. What an earlier run has left is used: a finished folder, an archive, a part of one.
    Raises InputError where the data must be fetched by hand, the server or the disk fails, or the file is wrong or unsafe.
    """
    root = Path(root)
    if name in BY_HAND:
        raise InputError(BY_HAND[name].format(root=root))
    if name not in ARCHIVES:
        raise InputError(f"there is no data set '{name}' to download: choose {', '.join(NAMES)}")
    archive = ARCHIVES[name]
    folder, packed = root / archive.folder, root / archive.url.rsplit("/", 1)[1]
    if folder.is_dir():
        print(f"{folder} is there already")
        return folder
    print(f"{name} from {archive.url}\nlicence: {archive.licence}\npage, and papers to cite: {archive.page}")
    root.mkdir(parents=True, exist_ok=True)
    if not packed.exists():
        fetch(archive.url, packed, archive.size)
    if archive.checksum is None:
        print(f"no checksum of {packed.name} is published: only the zip's own are checked")
    else:
        verify(packed, archive.checksum)
    unpack(packed, folder)
    packed.unlink()
    return folder


def fetch(url: str, path: Path, size: int | None = None) -> None:
    """Load a file; after a break go on from the part that is there, in this run or a later one (PATH.part).

    size: in bytes, where it is known. Raises InputError where the server refuses, offers another size, or keeps breaking off.
    """
    part = path.with_name(path.name + ".part")
    stalls, furthest = 0, bytes_of(part)
    while True:
        reason = "the connection broke off"
        try:
            if fetch_rest(url, part, size):
                break
        except urllib.error.HTTPError as error:
            error.close()
            if error.code < 500:
                raise InputError(f"{url} cannot be had: the server says {error.code} {error.reason}") from None
            reason = f"the server says {error.code} {error.reason}"
        except (OSError, http.client.HTTPException) as error:
            if getattr(error, "errno", None) == errno.ENOSPC:
                raise InputError(f"the disk of {path.parent} is full: make room, then run this again to go on") from None
            reason = str(error) or type(error).__name__
        stalls = 0 if bytes_of(part) > furthest else stalls + 1
        furthest = max(furthest, bytes_of(part))  # a server that lies or starts over cannot keep us here for ever
        if stalls == PATIENCE:
            raise InputError(
                f"{url} could not be loaded ({reason}); {bytes_of(part):,} bytes are kept: run this again to go on from there"
            )
        time.sleep(2**stalls)
    os.replace(part, path)


def fetch_rest(url: str, part: Path, size: int | None) -> bool:
    """One request for the bytes that are still missing. True when the part is the whole."""
    from tqdm.auto import tqdm

    have = bytes_of(part)
    if size is not None and have > size:  # a part of another version
        part.unlink()
        have = 0
    if have and have == size:
        return True
    headers = {"User-Agent": "vos_lab", **({"Range": f"bytes={have}-"} if have else {})}
    try:
        reply = urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=TIMEOUT)
    except urllib.error.HTTPError as error:
        if error.code != 416 or not have:
            raise
        error.close()
        if error.headers.get("Content-Range") == f"bytes */{have}":  # nothing is missing
            return True
        part.unlink()  # longer than the file: of another version
        return False
    with reply:
        start, total = offered(reply)
        if total is None:
            raise InputError(
                f"{url} does not say how long it is, so that a whole file cannot be told from a part: load it by hand"
            )
        if total < have or total != (size or total):
            raise InputError(
                f"{url} offers {total:,} bytes, but {size or have:,} {'were published' if size else f'are in {part} already'}: "
                "it is another file; look at its page, and load it by hand if it was published anew"
            )
        if start not in (0, have):
            raise http.client.HTTPException(f"the server sent bytes from {start} on instead of {have}")
        need_space(part.parent, total - start + round(1.1 * total))  # for the rest, and for unpacking
        have = start  # 0 from a server that knows no ranges: all over again
        with (
            open(part, "r+b" if have else "wb") as file,
            tqdm(total=total, initial=have, desc=part.stem, unit="B", unit_scale=True, leave=False, delay=1) as bar,
        ):
            file.seek(have)
            while have < total and (block := reply.read(min(BLOCK, total - have))):
                file.write(block)
                have += len(block)
                bar.update(len(block))
    return have == total


def offered(reply: http.client.HTTPResponse) -> tuple[int, int | None]:
    """(first byte, size of the whole file) of a reply."""
    if reply.status == 206:
        found = re.fullmatch(r"bytes (\d+)-\d+/(\d+)", reply.headers.get("Content-Range", ""))
        return (int(found[1]), int(found[2])) if found else (0, None)
    length = reply.headers.get("Content-Length", "")
    return 0, int(length) if length.isdecimal() else None


def bytes_of(path: Path) -> int:
    """The size of a file; 0 where there is none."""
    return path.stat().st_size if path.exists() else 0


def need_space(folder: Path, wanted: int) -> None:
    """Raise InputError where fewer bytes than wanted are free."""
    if (free := shutil.disk_usage(folder).free) < wanted:
        raise InputError(f"{folder} has {free:,} bytes free but {wanted:,} are needed: make room, or choose another folder")


def verify(path: Path, checksum: str) -> None:
    """Compare with a checksum ("sha256:..."); a file that differs is deleted, since going on from it would not mend it."""
    kind, wanted = checksum.split(":")
    digest = hashlib.new(kind, usedforsecurity=False)
    with open(path, "rb") as file:
        while block := file.read(BLOCK):
            digest.update(block)
    if digest.hexdigest() != wanted:
        path.unlink()
        raise InputError(f"{path} is not the published file and was deleted: its {kind} is {digest.hexdigest()}, not {wanted}")


def unpack(archive: Path, folder: Path) -> None:
    """Unpack a zip into a new folder, without the single folder (DAVIS/) that it holds; all of it, or nothing.

    Raises InputError for a zip that is broken, or whose files would lie outside, are links, or unpack to far more than its
    size; nothing is written then, and the archive is deleted.
    """
    try:
        with zipfile.ZipFile(archive) as packed:
            members = [member for member in packed.infolist() if not member.is_dir()]
            paths = safe_paths(members)
            total = sum(member.file_size for member in members)
            if total > UNPACKED_AT_MOST * bytes_of(archive) + (1 << 20):
                raise Unsafe(f"its {bytes_of(archive):,} bytes would become {total:,}")
            need_space(folder.parent, total + 4096 * len(members))  # a file fills whole blocks of the disk
            if len({path.parts[0] for path in paths}) == 1 and all(len(path.parts) > 1 for path in paths):
                paths = [PurePosixPath(*path.parts[1:]) for path in paths]
            with whole_folder(folder) as draft:
                for member, path in progress(list(zip(members, paths)), f"unpack {archive.name}", "file"):
                    target = draft / path
                    target.parent.mkdir(parents=True, exist_ok=True)
                    with packed.open(member) as source, open(target, "xb") as file:
                        shutil.copyfileobj(source, file, BLOCK)
    except (Unsafe, zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError) as error:
        archive.unlink()
        raise InputError(f"{archive} was not unpacked but deleted, as a broken or unsafe zip: {error}; load it again") from None


class Unsafe(Exception):
    """What is wrong with an archive."""


def safe_paths(members: list[zipfile.ZipInfo]) -> list[PurePosixPath]:
    """Where the members want to lie, if all of that is plain files inside, each in a place of its own, on every system."""
    paths = [PurePosixPath(member.filename.replace("\\", "/")) for member in members]
    for member, path in zip(members, paths):
        if path.is_absolute() or not path.parts or ".." in path.parts or ":" in member.filename:
            raise Unsafe(f"{member.filename!r} would lie outside")
        if stat.S_IFMT(member.external_attr >> 16) not in (0, stat.S_IFREG):
            raise Unsafe(f"{member.filename!r} is a link or a device")
    names = {str(path).casefold() for path in paths}
    if not paths or len(names) < len(paths) or names & {str(folder).casefold() for path in paths for folder in path.parents}:
        raise Unsafe("it holds no files, or two with one name")
    return paths
