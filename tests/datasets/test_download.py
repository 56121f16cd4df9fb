"""Downloads from a server on this machine that breaks off, lies, forgets ranges or serves another file, and unsafe archives."""

import hashlib
import http.server
import io
import re
import stat
import threading
import warnings
import zipfile
from collections import namedtuple
from dataclasses import replace

import numpy as np
import pytest

from vos_lab import InputError
from vos_lab.datasets import DAVIS, download
from vos_lab.datasets.download import Archive, fetch, unpack, verify

FILE = np.random.default_rng(0).bytes(300_000)


class Handler(http.server.BaseHTTPRequestHandler):
    """Serves server.file, with the faults that the server is told to have; notes the ranges that it was asked for."""

    def do_GET(self):
        server, data = self.server, self.server.file
        asked = self.headers.get("Range")
        server.asked.append(asked)
        start = int(re.fullmatch(r"bytes=(\d+)-", asked)[1]) if asked and not server.ignores_range else 0
        if server.status is not None:
            return self.send_error(server.status)
        if start >= len(data):
            self.send_response(416)
            self.send_header("Content-Range", f"bytes */{len(data) + server.claims_more}")
            self.send_header("Content-Length", "0")
            return self.end_headers()
        self.send_response(206 if start else 200)
        total = len(data) + server.claims_more
        if start:
            self.send_header("Content-Range", f"bytes {start}-{total - 1}/{total}")
        if server.tells_length:
            self.send_header("Content-Length", str(total - start))
        self.end_headers()
        stop = len(data)
        if server.breaks:
            stop = min(stop, start + server.breaks.pop(0))
        self.wfile.write(data[start:stop])  # then the connection closes

    def log_message(self, *_):
        pass


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setattr(download.time, "sleep", lambda _: None)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.file, server.asked, server.breaks = FILE, [], []
        server.ignores_range, server.claims_more, server.tells_length, server.status = False, 0, True, None
        server.url = f"http://127.0.0.1:{server.server_port}/file.zip"
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def test_a_file_is_loaded_whole(server, tmp_path):
    fetch(server.url, tmp_path / "file.zip", len(FILE))
    assert (tmp_path / "file.zip").read_bytes() == FILE
    assert [path.name for path in tmp_path.iterdir()] == ["file.zip"]


def test_after_a_break_only_the_rest_is_asked_for(server, tmp_path):
    server.breaks = [100_000, 50_000]
    fetch(server.url, tmp_path / "file.zip", len(FILE))
    assert (tmp_path / "file.zip").read_bytes() == FILE
    assert server.asked == [None, "bytes=100000-", "bytes=150000-"]


def test_a_later_run_goes_on_where_the_first_gave_up(server, tmp_path):
    server.breaks = [100_000] + [0] * 10
    with pytest.raises(InputError, match="100,000 bytes are kept"):
        fetch(server.url, tmp_path / "file.zip", len(FILE))
    assert not (tmp_path / "file.zip").exists()
    server.breaks = []
    fetch(server.url, tmp_path / "file.zip", len(FILE))
    assert (tmp_path / "file.zip").read_bytes() == FILE and server.asked[-1] == "bytes=100000-"


def test_a_server_that_ignores_ranges_starts_over(server, tmp_path):
    server.ignores_range = True
    server.breaks = [100_000]
    fetch(server.url, tmp_path / "file.zip", len(FILE))
    assert (tmp_path / "file.zip").read_bytes() == FILE
    server.breaks = [1000] * 20  # always at the same place: no way forward
    with pytest.raises(InputError, match="could not be loaded"):
        fetch(server.url, tmp_path / "again.zip", len(FILE))


def test_a_length_that_is_too_long_is_never_taken_for_a_whole_file(server, tmp_path):
    server.claims_more = 10
    with pytest.raises(InputError, match="offers 300,010 bytes, but 300,000 were published"):
        fetch(server.url, tmp_path / "file.zip", len(FILE))
    with pytest.raises(InputError, match="could not be loaded"):
        fetch(server.url, tmp_path / "file.zip")
    assert not (tmp_path / "file.zip").exists()


def test_a_length_that_is_too_short_is_refused(server, tmp_path):
    server.claims_more = -10
    with pytest.raises(InputError, match="offers 299,990 bytes"):
        fetch(server.url, tmp_path / "file.zip", len(FILE))


def test_no_length_at_all_is_refused(server, tmp_path):
    server.tells_length = False
    with pytest.raises(InputError, match="does not say how long"):
        fetch(server.url, tmp_path / "file.zip")


def test_a_short_answer_does_not_wipe_out_a_long_part(server, tmp_path):
    (tmp_path / "file.zip.part").write_bytes(FILE[:200_000])
    server.file, server.ignores_range = b"please log in to this wireless network", True
    with pytest.raises(InputError, match="another file"):
        fetch(server.url, tmp_path / "file.zip")
    assert (tmp_path / "file.zip.part").read_bytes() == FILE[:200_000]


@pytest.mark.parametrize("size", [None, len(FILE)])
def test_a_part_that_is_whole_already_is_taken(server, tmp_path, size):
    (tmp_path / "file.zip.part").write_bytes(FILE)
    fetch(server.url, tmp_path / "file.zip", size)
    assert (tmp_path / "file.zip").read_bytes() == FILE and len(server.asked) == (size is None)


@pytest.mark.parametrize("size", [None, len(FILE)])
def test_a_part_that_is_longer_than_the_file_is_dropped(server, tmp_path, size):
    (tmp_path / "file.zip.part").write_bytes(FILE + b"more")
    fetch(server.url, tmp_path / "file.zip", size)
    assert (tmp_path / "file.zip").read_bytes() == FILE


def test_a_refusal_ends_at_once_and_a_hiccup_is_retried(server, tmp_path):
    server.status = 404
    with pytest.raises(InputError, match="404 Not Found"):
        fetch(server.url, tmp_path / "file.zip")
    assert len(server.asked) == 1
    server.status = 503
    with pytest.raises(InputError, match="503 .* run this again"):
        fetch(server.url, tmp_path / "file.zip")
    assert len(server.asked) == 1 + download.PATIENCE


def test_a_full_disk_is_seen_before_the_first_byte(server, tmp_path, monkeypatch):
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(download.shutil, "disk_usage", lambda _: usage(0, 0, 600_000))  # the file, but not unpacked too
    with pytest.raises(InputError, match="600,000 bytes free but 630,000 are needed"):
        fetch(server.url, tmp_path / "file.zip")
    assert not list(tmp_path.iterdir())


def test_a_wrong_file_is_deleted(tmp_path):
    path = tmp_path / "file.zip"
    for kind in ("sha256", "md5"):
        path.write_bytes(FILE)
        verify(path, f"{kind}:{hashlib.new(kind, FILE).hexdigest()}")
        with pytest.raises(InputError, match=f"its {kind} is"):
            verify(path, f"{kind}:{hashlib.new(kind, FILE + b'!').hexdigest()}")
        assert not path.exists()


# ---- archives


def zipped(members: dict[str, bytes], links: tuple[str, ...] = ()) -> bytes:
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w", zipfile.ZIP_DEFLATED) as archive, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # names that come twice
        for name, content in members.items():
            info = zipfile.ZipInfo(name.rstrip("*"))
            info.filename = name.rstrip("*")  # as it is: ZipInfo would mend backslashes
            info.external_attr = (stat.S_IFLNK | 0o777 if name in links else stat.S_IFREG | 0o644) << 16
            info.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(info, content)
    return data.getvalue()


DAVIS_ZIP = zipped(
    {"DAVIS/ImageSets/2017/train.txt": b"bear\n", "DAVIS/JPEGImages/480p/bear/00000.jpg": b"a", "DAVIS/README.md": b"r"}
)
DAMAGED = DAVIS_ZIP[:60] + bytes([DAVIS_ZIP[60] ^ 255]) + DAVIS_ZIP[61:]  # a bit of the first file's content or header


def test_a_zip_is_unpacked_without_its_single_folder(tmp_path):
    (tmp_path / "a.zip").write_bytes(DAVIS_ZIP)
    unpack(tmp_path / "a.zip", tmp_path / "out")
    files = {path.relative_to(tmp_path / "out").as_posix() for path in (tmp_path / "out").rglob("*") if path.is_file()}
    assert files == {"ImageSets/2017/train.txt", "JPEGImages/480p/bear/00000.jpg", "README.md"}


@pytest.mark.parametrize(
    "data",
    [
        zipped({"DAVIS/ok": b"", "../evil": b"!"}),
        zipped({"DAVIS/ok": b"", "DAVIS/../../evil": b"!"}),
        zipped({"/tmp/evil": b"!"}),
        zipped({"DAVIS\\..\\..\\evil": b"!"}),
        zipped({"C:/evil": b"!"}),
        zipped({"DAVIS/link": b"/etc", "DAVIS/link/evil": b"!"}, links=("DAVIS/link",)),
        zipped({"DAVIS/link": b"/etc/passwd"}, links=("DAVIS/link",)),
        zipped({"DAVIS/a": b"1", "DAVIS/a*": b"2"}),
        zipped({"DAVIS/a": b"1", "DAVIS/A": b"2"}),  # one file on macOS and Windows
        zipped({"DAVIS/a": b"1", "DAVIS/a/b": b"2"}),
        zipped({"DAVIS/bomb": bytes(20_000_000)}),
        zipped({}),
        DAVIS_ZIP[:-40],
        DAMAGED,
        b"<html>this is not a zip</html>",
    ],
    ids=(
        "up, up-inside, absolute, backslash, drive, link-folder, link, twice, twice-by-case, file-and-folder, bomb, empty, "
        "short, broken, html"
    ).split(", "),
)
def test_an_unsafe_or_broken_zip_writes_nothing(tmp_path, data):
    (tmp_path / "root").mkdir()
    (tmp_path / "root" / "a.zip").write_bytes(data)
    with pytest.raises(InputError, match="not unpacked but deleted"):
        unpack(tmp_path / "root" / "a.zip", tmp_path / "root" / "out")
    assert [path.name for path in tmp_path.rglob("*")] == ["root"]  # nothing left, inside or outside


def test_a_zip_that_lies_about_its_sizes_is_caught(tmp_path):
    data = bytearray(zipped({"DAVIS/bomb": bytes(20_000_000)}))
    at = data.rindex(b"PK\x01\x02")
    data[at + 24 : at + 28] = (1000).to_bytes(4, "little")  # the directory's word for the unpacked size
    (tmp_path / "a.zip").write_bytes(data)
    with pytest.raises(InputError, match="not unpacked"):
        unpack(tmp_path / "a.zip", tmp_path / "out")
    assert not list(tmp_path.iterdir())


# ---- all together


@pytest.fixture
def archive(server, monkeypatch):
    server.file = DAVIS_ZIP
    checksum = f"sha256:{hashlib.sha256(DAVIS_ZIP).hexdigest()}"
    archive = Archive(server.url, "DAVIS-2017", len(DAVIS_ZIP), checksum, "the licence", "the page")
    monkeypatch.setitem(download.ARCHIVES, "davis-2017", archive)
    return archive


def test_download_shows_the_licence_first_and_leaves_the_data_only(archive, server, tmp_path, capsys):
    server.breaks = [50]
    folder = download.download("davis-2017", tmp_path / "data")
    assert folder == tmp_path / "data" / "DAVIS-2017" and list((tmp_path / "data").iterdir()) == [folder]
    assert DAVIS(tmp_path / "data").names == ["bear"]
    assert "the licence" in capsys.readouterr().out
    server.asked.clear()
    assert download.download("davis-2017", tmp_path / "data") == folder and not server.asked  # it is there


def test_the_licence_is_shown_even_where_the_download_fails(archive, server, tmp_path, capsys):
    server.status = 403
    with pytest.raises(InputError):
        download.download("davis-2017", tmp_path)
    assert "the licence" in capsys.readouterr().out


def test_a_wrong_file_is_not_unpacked(archive, server, tmp_path):
    server.file = DAVIS_ZIP[:-1] + b"?"
    with pytest.raises(InputError, match="not the published file"):
        download.download("davis-2017", tmp_path)
    assert not list(tmp_path.iterdir())


def test_no_checksum_is_said_and_the_zips_own_still_count(archive, server, monkeypatch, tmp_path, capsys):
    monkeypatch.setitem(download.ARCHIVES, "davis-2017", replace(archive, size=None, checksum=None))
    server.file = DAMAGED
    with pytest.raises(InputError, match="broken or unsafe"):
        download.download("davis-2017", tmp_path)
    assert "no checksum" in capsys.readouterr().out and not list(tmp_path.iterdir())


def test_a_break_while_unpacking_leaves_the_archive_and_no_folder(archive, tmp_path, monkeypatch):
    def interrupted(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as broken, pytest.raises(KeyboardInterrupt):
        broken.setattr(download.shutil, "copyfileobj", interrupted)
        download.download("davis-2017", tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["file.zip"]
    assert download.download("davis-2017", tmp_path).is_dir()


def test_what_must_be_fetched_by_hand_says_how(tmp_path):
    with pytest.raises(InputError, match=r"https://youtube-vos.org/dataset/vos.*unpack train.*vl\.World"):
        download.download("youtube-vos", tmp_path)
    with pytest.raises(InputError, match="choose davis-2016, davis-2017, davis-2017-test-dev, youtube-vos"):
        download.download("kitti", tmp_path)


def test_the_table_of_archives_is_well_formed():
    for archive in download.ARCHIVES.values():
        assert archive.url.startswith("https://") and archive.url.endswith(".zip")
        kind, _, digest = (archive.checksum or "sha256:" + "0" * 64).partition(":")
        assert len(digest) == {"sha256": 64, "md5": 32}[kind] and set(digest) <= set("0123456789abcdef")
