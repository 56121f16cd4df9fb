"""What files are like outside of data sets: turned phones, uneven clocks, links, full or read-only disks, files that go."""

import errno
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from imageio_ffmpeg import get_ffmpeg_exe
from PIL import Image

from vos_lab import Clip, InputError, Tracker, cli, video


def test_a_photograph_taken_with_a_turned_camera_stands_upright(tmp_path):
    upright = np.zeros((40, 60, 3), np.uint8)
    upright[:20] = 200  # sky
    lying = Image.fromarray(np.rot90(upright))  # as the sensor saw it
    turned = Image.Exif()
    turned[0x0112] = 6  # show it turned by a quarter, clockwise
    (tmp_path / "clip").mkdir()
    lying.save(tmp_path / "clip" / "0.png", exif=turned)
    (frame,) = Clip.load(tmp_path / "clip").frames
    assert (frame == upright).all()


def ffmpeg(*words) -> None:
    subprocess.run([get_ffmpeg_exe(), "-y", "-loglevel", "error", *map(str, words)], check=True)


def counting(count: int, size=(48, 64)) -> np.ndarray:
    """Frame t is grey 20 t in its upper half, black below."""
    frames = np.zeros((count, *size, 3), np.uint8)
    frames[:, : size[0] // 2] = 20 * np.arange(count, dtype=np.uint8)[:, None, None, None]
    return frames


def test_a_video_of_a_turned_phone_stands_upright(tmp_path):
    video.write_video(tmp_path / "lying.mp4", counting(6))
    ffmpeg("-display_rotation", 90, "-i", tmp_path / "lying.mp4", "-c", "copy", tmp_path / "phone.mp4")
    frames = Clip.load(tmp_path / "phone.mp4").frames
    assert frames.shape == (6, 64, 48, 3)
    bright = frames[5].mean(2) > 50
    assert bright[:, :20].all() and not bright[:, 28:].any()  # the upper half came to lie on the left
    small = Clip.load(tmp_path / "phone.mp4", short_side=24)
    assert small.frames.shape == (6, 32, 24, 3) and small.source_size == (64, 48)


def test_a_video_whose_frames_last_differently_long_gives_each_once(tmp_path):
    for t, frame in enumerate(counting(6)):
        Image.fromarray(frame).save(tmp_path / f"{t}.png")
    lasts = (0.04, 0.5, 0.1, 0.04, 0.3, 0.04)
    (tmp_path / "list.txt").write_text("".join(f"file {t}.png\nduration {x}\n" for t, x in enumerate(lasts)))
    ffmpeg("-f", "concat", "-i", tmp_path / "list.txt", "-fps_mode", "vfr", "-pix_fmt", "yuv420p", tmp_path / "uneven.mp4")
    frames = Clip.load(tmp_path / "uneven.mp4").frames
    assert len(frames) == 6
    assert np.allclose(frames[:, 4:20].mean((1, 2, 3)), 20 * np.arange(6), atol=6)


def test_a_video_that_goes_away_while_it_is_read_gives_a_sentence(tmp_path, monkeypatch):
    path = tmp_path / "gone.mp4"
    video.write_video(path, counting(6))
    scaled = video.scaled
    monkeypatch.setattr(video, "scaled", lambda *args: path.unlink() or scaled(*args))
    with pytest.raises(InputError, match="gone.mp4 cannot be read as a video"):
        Clip.load(path, short_side=24)


@pytest.mark.skipif(sys.platform == "win32", reason="links need a right there")
def test_linked_folders_and_frames_are_read_as_what_they_lead_to(tmp_path):
    (tmp_path / "frames").mkdir()
    (tmp_path / "some").mkdir()
    for t, frame in enumerate(counting(3)):
        Image.fromarray(frame).save(tmp_path / "frames" / f"{t}.png")
        (tmp_path / "some" / f"{t}.png").symlink_to(tmp_path / "frames" / f"{t}.png")
    (tmp_path / "whole").symlink_to(tmp_path / "frames")
    for name in ("whole", "some"):
        assert (Clip.load(tmp_path / name).frames == counting(3)).all()
    (tmp_path / "frames" / "1.png").unlink()
    with pytest.raises(InputError, match="1.png"):
        Clip.load(tmp_path / "some")


FULL = """
import resource, signal, sys
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)  # as a full disk: writing fails, the process goes on
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[1]),) * 2)
from vos_lab.cli import main
sys.exit(main(sys.argv[2:]))
"""


@pytest.mark.skipif(sys.platform == "win32", reason="no such limit there")
@pytest.mark.parametrize("command, room", [("segment", 10_000), ("track", 300)])
def test_on_a_full_disk_nothing_is_half_written_and_it_is_said(tmp_path, command, room):
    Clip(rng_frames(4), masks=first_mask(4), name="clip").save(tmp_path / "tree")
    clip, out = tmp_path / "tree" / "JPEGImages" / "480p" / "clip", tmp_path / "out"
    words = {
        "segment": ["segment", clip, "--model", "colour", "--out", out],
        "track": ["track", "davis-2017", "--split", "train", "--root", tmp_path / "tree", "--model", "colour", "--out", out],
    }[command]
    if command == "track":
        (tmp_path / "tree" / "ImageSets" / "2017").mkdir(parents=True)
        (tmp_path / "tree" / "ImageSets" / "2017" / "train.txt").write_text("clip\n")
    # what Python and libraries keep for later would be cut off as well
    kept = {name: str(tmp_path) for name in ("XDG_CACHE_HOME", "MPLCONFIGDIR")} | {"PYTHONDONTWRITEBYTECODE": "1"}
    said = subprocess.run(
        [sys.executable, "-c", FULL, str(room), *map(str, words)],
        env=os.environ | kept | {"TQDM_DISABLE": "1"},
        capture_output=True,
        text=True,
    )
    last = said.stderr.strip().splitlines()[-1]
    assert said.returncode == 2 and last.startswith(f"vos-lab {command}: "), said.stderr
    assert "too large" in last or "could not be written" in last
    assert "Traceback" not in said.stderr
    left = [path for path in out.rglob("*") if path.is_file()] if out.exists() else []
    assert not [path for path in left if path.suffix in (".mp4", ".html") or ".part" in path.name]
    for path in left:
        if path.suffix == ".png":
            Image.open(path).load()  # whole


def refuse(path, *_):
    """What os.mkdir and os.open say of a read-only disk."""
    raise OSError(errno.EROFS, os.strerror(errno.EROFS), os.fspath(path))


def test_on_a_read_only_disk_it_is_said_before_the_work(tmp_path, monkeypatch, capsys):
    Clip(rng_frames(4), masks=first_mask(4), name="clip").save(tmp_path / "tree")

    monkeypatch.setattr(os, "mkdir", refuse)
    monkeypatch.setattr(Tracker, "run", lambda *_: pytest.fail("it tracked, and the work is lost"))
    out = tmp_path / "out"
    assert cli.main(["segment", f"{tmp_path}/tree/JPEGImages/480p/clip", "--model", "colour", "--out", str(out)]) == 2
    assert capsys.readouterr().err == f"vos-lab segment: {out}: {os.strerror(errno.EROFS)}\n"


@pytest.mark.parametrize("there", [False, True])
@pytest.mark.parametrize(
    "command, work", [("bench memory", "vos_lab.bench.memory.bench_memory"), ("evaluate", "vos_lab.metrics.evaluate")]
)
def test_the_disk_is_asked_before_numbers_are_measured(command, work, there, tmp_path, monkeypatch, capsys):
    out = tmp_path / "out"
    if there:
        out.mkdir()
    words = command.split()
    if command == "evaluate":
        Clip(rng_frames(4), masks=first_mask(4), name="clip").save(tmp_path / "tree")
        words += 2 * [f"{tmp_path}/tree/Annotations/480p"]

    monkeypatch.setattr(os, "open" if there else "mkdir", refuse)
    monkeypatch.setattr(work, lambda *_, **__: pytest.fail("it measured, and the numbers are lost"))
    assert cli.main([*words, "--out", str(out)]) == 2
    said = capsys.readouterr().err
    assert said.startswith(f"vos-lab {words[0]}: {out}") and said.endswith(f": {os.strerror(errno.EROFS)}\n")


def rng_frames(count: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 255, (count, 96, 128, 3), np.uint8)


def first_mask(count: int) -> np.ndarray:
    masks = np.full((count, 96, 128), 255, np.uint8)
    masks[0] = np.random.default_rng(1).integers(0, 5, (96, 128))
    return masks


def test_paths_are_paths_whatever_they_are_called(tmp_path):
    folder = tmp_path / "a b" / "Übung 象 'x' $HOME;"
    folder.mkdir(parents=True)
    video.write_video(folder / "c d.mp4", counting(3))
    assert len(Clip.load(folder / "c d.mp4")) == 3
    assert len(Clip.load(str(folder / "c d.mp4"), short_side=24)) == 3
    assert Path(folder / "c d.mp4").exists()
