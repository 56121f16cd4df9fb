"""kill -9 at twenty random moments, then the same command once more: what comes out is what an undisturbed run gives."""

import hashlib
import http.server
import random
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from vos_lab import Clip
from vos_lab.datasets import samples

pytestmark = [pytest.mark.long, pytest.mark.skipif(sys.platform == "win32", reason="there is no kill -9")]
KILLS = 20
EXPERIMENT = """
config: stcn-tiny
settings: ["rendered={world: 2}", rendered_length=4, rendered_size=64, workers=0, validate_every=0]
stages:
- {data: {world: 1}, steps: 2, batch: 2, frames: 3, size: 64, objects: 1, jumps: {0: 1}}
baseline: masks
variants: {masks: [], all: [affinity=0.1]}
seeds: [0, 1]
clips: 1
length: 4
every: 1
"""


def tracking(place: Path) -> list[str]:
    whole = samples.load("walk")
    for name in "abcdef":
        Clip(whole.frames[:, ::2, ::2], whole.masks[:, ::2, ::2], name).save(place / "davis")
    names = place / "davis" / "ImageSets" / "2017" / "val.txt"
    names.parent.mkdir(parents=True)
    names.write_text("\n".join("abcdef"))
    return ["-m", "vos_lab.cli", "track", "davis-2017", "--root", str(place / "davis"), "--model", "colour"]


def experimenting(place: Path) -> list[str]:
    (place / "small.yaml").write_text(EXPERIMENT)
    return ["-m", "vos_lab.cli", "experiment", str(place / "small.yaml")]


def exporting(place: Path) -> list[str]:
    """One page over and over: at most moments there is an older one to be replaced."""
    (place / "export.py").write_text(
        """
import sys
from pathlib import Path
import vos_lab as vl
out = Path(sys.argv[2])
clip = vl.datasets.samples.load("walk")[:4]
track = vl.Tracker(vl.load_model("colour")).run(clip, record=True)
for _ in range(20):
    vl.show.export(vl.show.AffinityExplorer(track, frame=3), out / "page.html")
"""
    )
    return [str(place / "export.py")]


def contents(folder: Path) -> dict[str, str]:
    """Of each file that somebody would look at: what tells it from another one. Times of the clock differ."""
    found = {}
    for path in sorted(folder.rglob("*")):
        if path.is_dir() or any(part.startswith(".") for part in path.relative_to(folder).parts):
            continue
        name = str(path.relative_to(folder))
        if path.suffix == ".html":
            text = path.read_text(encoding="utf-8")
            found[name] = f"{len(text) // 1000} thousand characters, {'whole' if text.rstrip().endswith('</html>') else 'torn'}"
        elif path.name == "table.csv":
            found[name] = "\n".join(line.rsplit(",", 1)[0] for line in path.read_text().splitlines())  # the last column: hours
        elif path.suffix in (".png", ".txt", ".safetensors"):
            found[name] = hashlib.sha256(path.read_bytes()).hexdigest()
    return found


@pytest.mark.parametrize("work", [tracking, experimenting, exporting])
def test_killed_and_run_again(work, tmp_path):
    command = [sys.executable, *work(tmp_path)]
    into = lambda out: [*command, "--out", str(out), *(["--table", str(out / "table.csv")] if work is experimenting else [])]
    whole, out = tmp_path / "whole", tmp_path / "killed"
    for folder in (whole, out):
        folder.mkdir()
    began = time.monotonic()
    subprocess.run(into(whole), check=True, capture_output=True)
    seconds, truth = time.monotonic() - began, contents(whole)
    moments, kills, ends = random.Random(0), 0, 0
    while kills < KILLS:
        run = subprocess.Popen(into(out), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        try:
            _, said = run.communicate(timeout=seconds * moments.uniform(0.2, 1))
            assert run.returncode == 0, said.decode()
            if work is not exporting:  # finished: begin anew
                assert contents(out) == truth
                ends += 1
                out = tmp_path / f"killed-{ends}"
                out.mkdir()
        except subprocess.TimeoutExpired:
            run.send_signal(signal.SIGKILL)
            run.wait()
            kills += 1
            for name, content in contents(out).items():
                if name != "table.csv" and not name.endswith(".safetensors"):
                    assert content == truth[name], f"after kill {kills}: {name}"
    subprocess.run(into(out), check=True, capture_output=True)
    assert contents(out) == truth


class Slow(http.server.BaseHTTPRequestHandler):
    """Serves server.file at some megabytes a second, from where it is asked to."""

    def do_GET(self):
        asked = self.headers.get("Range", "bytes=0-")
        start = int(asked[len("bytes=") : -1])
        self.server.sent.append(start)
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(self.server.file) - start))
        self.send_header("Content-Range", f"bytes {start}-{len(self.server.file) - 1}/{len(self.server.file)}")
        self.end_headers()
        try:
            for at in range(start, len(self.server.file), 2**14):
                self.wfile.write(self.server.file[at : at + 2**14])
                time.sleep(0.005)
        except (BrokenPipeError, ConnectionResetError):
            pass

    def log_message(self, *_):
        pass


def test_a_download_that_is_killed_goes_on_where_it_was(tmp_path):
    data = random.Random(0).randbytes(2**25)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Slow) as server:
        server.file, server.sent = data, []
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        fetch = f"""
from pathlib import Path
from vos_lab.datasets.download import fetch
fetch("http://127.0.0.1:{server.server_port}/file.bin", Path({str(tmp_path / "file.bin")!r}), {len(data)})
"""
        moments, kills = random.Random(0), 0
        while kills < KILLS:
            run = subprocess.Popen([sys.executable, "-c", fetch], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            part = tmp_path / "file.bin.part"
            aim = (part.stat().st_size if part.exists() else 0) + moments.randrange(2**10, 2**23 // KILLS)
            while run.poll() is None and not (part.exists() and part.stat().st_size >= aim):
                time.sleep(0.001)
            assert run.poll() is None, "killed before its end"
            run.send_signal(signal.SIGKILL)
            run.wait()
            kills += 1
            assert not (tmp_path / "file.bin").exists() and data.startswith(part.read_bytes())
        subprocess.run([sys.executable, "-c", fetch], check=True, capture_output=True)
        server.shutdown()
    assert (tmp_path / "file.bin").read_bytes() == data
    assert server.sent == sorted(set(server.sent)), "each time it goes on further along"
