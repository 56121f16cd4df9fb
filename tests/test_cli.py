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
    arguments = ["segment", str(clip), "--mask", str(mask), "--model", "colour", "--out", str(tmp_path / "out")]
    assert main(arguments) == 0
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


def test_a_prior_on_places_when_asked_for(tmp_path):
    vl.World(0, distractors=3).clip(6, (64, 96), name="balls").save(tmp_path)
    clip, colour = tmp_path / "JPEGImages" / "480p" / "balls", vl.load_model("colour")
    main(["segment", str(clip), "--model", "colour", "--prior", "--out", str(tmp_path / "out")])
    listing = tmp_path / "ImageSets" / "2017" / "val.txt"
    listing.parent.mkdir(parents=True)
    listing.write_text("balls")
    main(["track", "davis-2017", "--root", str(tmp_path), "--model", "colour", "--prior", "--out", str(tmp_path / "all")])
    with_prior, without = (vl.Tracker(colour, prior=p).run(vl.Clip.load(clip)).masks for p in (vl.memory.MotionPrior(), None))
    assert (with_prior != without).any()
    for folder in ("out", "all"):
        found = vl.masks.read_masks(sorted((tmp_path / folder / "balls").glob("*.png")))
        assert (np.stack(found) == with_prior).all()
    assert "colour + prior" in (tmp_path / "out" / "balls" / "report.html").read_text()


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


def test_what_somebody_else_put_into_the_results_is_kept(tree, tmp_path, capsys):
    clip, out = tree / "JPEGImages" / "48p" / "ball", tmp_path / "out"
    main(["segment", str(clip), "--out", str(out)])
    (out / "ball" / "notes.txt").write_text("mine")
    assert main(["segment", str(clip), "--out", str(out)]) == 2
    assert "holds something else" in capsys.readouterr().err and (out / "ball" / "notes.txt").read_text() == "mine"


def test_only_objects_that_were_given_are_scored(tree, tmp_path, ball, capsys):
    vl.masks.write_mask(tmp_path / "one.png", np.where(ball.masks[0] == 3, 3, 0).astype(np.uint8))
    clip = str(tree / "JPEGImages" / "48p" / "ball")
    assert main(["segment", clip, "--mask", str(tmp_path / "one.png"), "--out", str(tmp_path / "out")]) == 0
    printed = capsys.readouterr().out
    assert "object 3" in printed and "Not given, and so not scored: object 7" in printed and "object 7  " not in printed
    vl.masks.write_mask(tmp_path / "other.png", (ball.masks[0] == 3).astype(np.uint8))
    assert main(["segment", clip, "--mask", str(tmp_path / "other.png"), "--out", str(tmp_path / "out")]) == 0
    assert "No scores: truth holds no object" in capsys.readouterr().out


def test_a_mask_of_a_later_frame_alone_is_tracked_from_there(tmp_path, ball, capsys):
    vl.Clip(ball.frames, name="ball").save(tmp_path / "frames")
    vl.masks.write_mask(tmp_path / "00003.png", ball.masks[3])
    clip = tmp_path / "frames" / "JPEGImages" / "480p" / "ball"
    assert main(["segment", str(clip), "--mask", str(tmp_path / "00003.png"), "--out", str(tmp_path / "out")]) == 0
    ids = [np.asarray(Image.open(tmp_path / "out" / "ball" / f"0000{t}.png")).max() for t in (2, 3, 7)]
    assert ids == [0, 7, 7]


def test_masks_have_the_size_of_the_files_also_when_tracked_smaller(tree, tmp_path, capsys):
    clip = tree / "JPEGImages" / "48p" / "ball"
    assert main(["segment", str(clip), "--short-side", "40", "--model", "colour", "--out", str(tmp_path / "out")]) == 0
    assert main(["evaluate", str(tmp_path / "out"), str(tree)]) == 0
    assert json.loads((tmp_path / "out" / "scores.json").read_text())["mean"]["J&F"] > 0.8


def test_a_youtube_vos_tree_is_scored_on_its_annotated_frames_the_last_one_too(tmp_path, ball):
    for t in range(8):
        vl.masks.write_mask(tmp_path / "out" / "ball" / f"{t:05d}.png", ball.masks[t] * (t < 5))
        if t in (0, 5):
            vl.masks.write_mask(tmp_path / "valid" / "Annotations" / "ball" / f"{t:05d}.png", ball.masks[t])
    (tmp_path / "valid" / "Annotations" / "ball" / "00007.png").write_bytes(
        (tmp_path / "valid" / "Annotations" / "ball" / "00005.png").read_bytes()
    )
    assert main(["evaluate", str(tmp_path / "out"), str(tmp_path / "valid")]) == 0
    assert json.loads((tmp_path / "out" / "scores.json").read_text())["clips"]["ball"]["J"] == [[None, 0, 0], [None, 0, 0]]


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
        (["segment", "cut.mp4", "--mask", "none.png", "--out", "out"], "cut.mp4 cannot be read as a video"),
        (["segment", "tree/JPEGImages/48p/ball", "--mask", "soft.png", "--out", "out"], "only along edges"),
        (["segment", "tree/JPEGImages/48p/ball", "--mask", "rgb.png", "--out", "out"], "in colour"),
        (
            ["segment", "tree/JPEGImages/48p/ball", "--mask", "small/ball/00000.png", "--out", "out"],
            "40x80 pixels but its frame",
        ),
        (["segment", "tree/JPEGImages/48p/ball", "--truth", "absent", "--out", "out"], "--truth absent does not exist"),
        (["segment", "tree/JPEGImages/48p/ball", "--out", "film.mp4"], "film.mp4 is a file"),
        (["segment", "empty", "--out", "out"], "empty holds no frames"),
        (["evaluate", "short", "tree", "--out", "film.mp4"], "film.mp4 is a file"),
        (["evaluate", "short", "tree"], "lacks 1 of the 8 frames of the truth, the first 00007.png"),
        (["download", "davis-1999", "--root", "out"], "there is no data set 'davis-1999' to download: choose davis-2016"),
        (["download", "youtube-vos", "--root", "out"], "only a browser can load from"),
        (["evaluate", "small", "tree"], "00000.png is 40x80 pixels, the truth 48x80"),
    ],
)
def test_bad_input_gets_one_sentence_and_exit_code_2(tree, tmp_path, ball, monkeypatch, capfd, arguments, sentence):
    monkeypatch.chdir(tmp_path)
    vl.masks.write_mask(tmp_path / "none.png", ball.masks[0] * 0)
    vl.video.write_video(tmp_path / "film.mp4", ball.frames)
    (tmp_path / "cut.mp4").write_bytes((tmp_path / "film.mp4").read_bytes()[:900])
    Image.fromarray(ball.frames[0]).save(tmp_path / "rgb.png")
    Image.fromarray((ball.masks[0] > 0).astype(np.uint8) * 255).resize((33, 20), 3).resize((80, 48), 2).save(
        tmp_path / "soft.png"
    )
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


def test_train_takes_settings_before_and_after_its_options(monkeypatch, tmp_path):
    seen = []
    monkeypatch.setattr("vos_lab.training.loop.train", lambda config, out: seen.append((config, out)) or out)
    assert main(["train", "stcn-tiny", "lr=0.5", "--out", str(tmp_path), "stages.0.steps=7", "seed=3"]) == 0
    config, out = seen[0]
    assert (config.lr, config.stages[0].steps, config.seed, out) == (0.5, 7, 3, tmp_path)
    with pytest.raises(SystemExit):
        main(["train", "stcn-tiny", "--learning-rate=1"])


def test_train_on_real_clips_alone(monkeypatch, tmp_path):
    seen = []
    monkeypatch.setattr("vos_lab.training.loop.train", lambda config, out: seen.append(config) or out)
    assert main(["train", "stcn-small", "--data", "davis", "--root", str(tmp_path)]) == 0
    assert seen[0].davis == str(tmp_path) and {tuple(stage.data) for stage in seen[0].stages} == {("davis",)}


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["train", "stcn-large"], "there is no config 'stcn-large': choose"),
        (["train", "stcn-tiny", "lr=fast"], "lr: wanted float, got 'fast'"),
        (["train", "stcn-tiny", "--data", "davis"], "--data and --root belong together"),
        (
            ["train", "stcn-tiny", "--data", "davis", "--root", ".", "validation_clips=[bear]"],
            "validation_clips are trained on",
        ),
        (["track", "ducks", "--root", ".", "--out", "x"], "there is no data set 'ducks' to track"),
    ],
)
def test_bad_settings_get_one_sentence(arguments, sentence, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(arguments) == 2
    printed = capsys.readouterr().err
    assert sentence in printed and printed.count("\n") == 1
