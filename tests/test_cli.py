import csv
import json

import numpy as np
import pytest
from PIL import Image

import vos_lab as vl
from vos_lab.cli import main


@pytest.fixture
def tree(tmp_path, ball):
    ball.save(tmp_path / "tree", resolution="48p")
    return tmp_path / "tree"


def files(folder):
    return sorted(str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file())


RESULTS = [*(f"ball/{t:05d}.png" for t in range(8)), "ball/overlay.mp4", "ball/report.html"]


def test_segment_then_evaluate(tree, tmp_path, ball, capsys):
    clip, mask = tree / "JPEGImages" / "48p" / "ball", tree / "Annotations" / "48p" / "ball" / "00000.png"
    assert main(["segment", str(clip), "--mask", str(mask), "--out", str(tmp_path / "out")]) == 0
    printed = capsys.readouterr().out
    assert "object 3" in printed and "8 frames in" in printed
    assert files(tmp_path / "out") == RESULTS
    with Image.open(tmp_path / "out" / "ball" / "00005.png") as image:
        assert image.mode == "P" and set(np.unique(np.asarray(image))) == {0, 3, 7}

    assert main(["evaluate", str(tmp_path / "out"), str(tree)]) == 0
    assert capsys.readouterr().out.splitlines()[1].startswith("ball (2)")
    scores = json.loads((tmp_path / "out" / "scores.json").read_text())
    expected = vl.evaluate(vl.Tracker(vl.load_model("colour")).run(vl.Clip.load(clip)).masks, ball.masks)
    assert scores["mean"]["J&F"] == pytest.approx(expected.JF) and scores["clips"]["ball"]["J"][0][0] is None
    with open(tmp_path / "out" / "scores.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["object"] for row in rows] == ["3", "7"] and float(rows[0]["J&F"]) == pytest.approx(expected.rows()[0][1])


def test_the_report_stands_alone(tree, tmp_path):
    main(["segment", str(tree / "JPEGImages" / "48p" / "ball"), "--out", str(tmp_path / "out")])
    page = (tmp_path / "out" / "ball" / "report.html").read_text()
    assert page.count("<img alt=") == 2 and 'src="data:image/jpeg;base64,' in page and "http" not in page
    assert "frames per second" in page and "J&amp;F" in page


def test_without_truth_there_are_no_scores_but_a_report(tmp_path, ball, capsys):
    vl.video.write_video(tmp_path / "film.mp4", ball.frames)
    vl.masks.write_mask(tmp_path / "first.png", ball.masks[0])
    assert main(["segment", str(tmp_path / "film.mp4"), "--mask", str(tmp_path / "first.png"), "--out", str(tmp_path)]) == 0
    assert "No scores" in (tmp_path / "film" / "report.html").read_text() and "J&F" not in capsys.readouterr().out


def test_results_replace_earlier_results_and_nothing_else(tree, tmp_path, capsys):
    clip = tree / "JPEGImages" / "48p" / "ball"
    for _ in range(2):
        assert main(["segment", str(clip), "--out", str(tmp_path / "out")]) == 0
    assert files(tmp_path / "out") == RESULTS
    before = files(tree)
    assert main(["segment", str(clip), "--out", str(clip.parent)]) == 2
    assert "choose another --out" in capsys.readouterr().err and files(tree) == before


def test_names_are_escaped_in_the_report(ball, tmp_path):
    ball.name = "<script>alert(1)<"
    track = vl.Tracker(vl.load_model("colour")).run(ball)
    from vos_lab.report import write_report

    write_report(tmp_path / "report.html", ball, track, None, "<img>", "cpu")
    page = (tmp_path / "report.html").read_text()
    assert "<script" not in page and "<img>" not in page


@pytest.mark.parametrize(
    "arguments, sentence",
    [
        (["segment", "absent.mp4", "--out", "out"], "absent.mp4 does not exist"),
        (["segment", "tree/JPEGImages/48p/ball", "--mask", "absent.png", "--out", "out"], "absent.png does not exist"),
        (["segment", "tree/JPEGImages/48p/ball", "--mask", "none.png", "--out", "out"], "masks of clip 'ball' are empty"),
        (["segment", "tree/JPEGImages/48p/ball", "--model", "stcn", "--out", "out"], "needs weights="),
        (["segment", "tree/JPEGImages/48p/ball", "--model", "stcn", "--weights", "none.png", "--out", "out"], "as weights"),
        (["segment", "tree/JPEGImages/48p/ball", "--every", "0", "--out", "out"], "every=0"),
        (["segment", "tree/JPEGImages/48p/ball", "--device", "abacus", "--out", "out"], "device 'abacus' cannot be used"),
        (["segment", "film.mp4", "--out", "out"], "no masks"),
        (["evaluate", "absent", "tree"], "absent is no folder"),
        (["evaluate", "empty", "tree"], "empty lacks ball: add them, or name the clips"),
        (["evaluate", "empty", "tree", "--clips", "absent.txt"], "absent.txt does not exist"),
        (["evaluate", "short", "tree"], "00007.png does not exist"),
        (["evaluate", "small", "tree"], "00000.png is 40x80 pixels, the truth 48x80"),
    ],
)
def test_bad_input_gets_one_sentence_and_exit_code_2(tree, tmp_path, ball, monkeypatch, capfd, arguments, sentence):
    monkeypatch.chdir(tmp_path)
    vl.masks.write_mask(tmp_path / "none.png", ball.masks[0] * 0)
    vl.video.write_video(tmp_path / "film.mp4", ball.frames)
    (tmp_path / "empty").mkdir()
    for t in range(8):
        vl.masks.write_mask(tmp_path / "small" / "ball" / f"{t:05d}.png", ball.masks[t, :40])
        if t < 7:
            vl.masks.write_mask(tmp_path / "short" / "ball" / f"{t:05d}.png", ball.masks[t])
    before = files(tmp_path)
    assert main(arguments) == 2
    error = capfd.readouterr().err.strip().splitlines()
    assert sentence in error[-1] and len(error) == 1
    assert files(tmp_path) == before and not (tmp_path / "out").exists()


def test_unknown_words_exit_with_2(capsys):
    with pytest.raises(SystemExit) as stop:
        main(["segmnet"])
    assert stop.value.code == 2
