"""YouTube-VOS in a tiny tree: layout, the G score against a count by hand, and the submission zip."""

import io
import json
import math
import zipfile

import numpy as np
import pytest
from fake_trees import SIZE, ids, write_frames, write_masks, youtube_vos
from PIL import Image

from vos_lab import InputError
from vos_lab.datasets import YouTubeVOS
from vos_lab.metrics import contour_accuracy, region_similarity

PRESENT = {t: ids(t, 1 if t == 0 else 2) for t in range(16)}  # the truth of the video of fake_trees


def test_train_is_every_5th_frame_all_annotated(tmp_path):
    clip = YouTubeVOS(youtube_vos(tmp_path))["v1"]
    assert clip.frame_names == ["00000", "00005", "00010", "00015"] and clip.annotated.all()
    assert (clip.masks == np.stack([PRESENT[t] for t in (0, 5, 10, 15)])).all()


def test_valid_is_annotated_where_objects_appear(tmp_path):
    valid = YouTubeVOS(youtube_vos(tmp_path, "valid"), year=2018, split="valid")
    assert list(valid["v1"].annotated) == [True, True, False, False]
    assert valid.objects["v1"][2].frames[0] == "00005" and valid.objects["v1"][2].category == "cat"


def test_all_frames_has_every_frame_and_the_same_masks(tmp_path):
    youtube_vos(tmp_path, "valid")
    clip = YouTubeVOS(tmp_path, split="valid", all_frames=True)["v1"]
    assert len(clip) == 16 and list(np.flatnonzero(clip.annotated)) == [0, 5]
    (tmp_path / "all_frames").mkdir()  # where STCN's and XMem's scripts put them
    (tmp_path / "valid_all_frames").rename(tmp_path / "all_frames" / "valid_all_frames")
    assert len(YouTubeVOS(tmp_path, split="valid", all_frames=True)[0]) == 16
    (tmp_path / "all_frames").rename(tmp_path / "elsewhere")
    with pytest.raises(InputError, match="valid_all_frames.JPEGImages is missing"):
        YouTubeVOS(tmp_path, split="valid", all_frames=True)


def test_a_folder_per_year_and_a_smaller_size(tmp_path):
    youtube_vos(tmp_path / "2018")
    clip = YouTubeVOS(tmp_path, year=2018, short_side=12)["v1"]
    assert clip.size == (12, 20) and set(np.unique(clip.masks)) <= {0, 1, 2}


def predictions(dataset, change=lambda mask: mask):
    clip = dataset["v1"]
    return [("v1", np.stack([change(PRESENT[int(name)]) for name in clip.frame_names]))]


def test_a_perfect_prediction_scores_1_whatever_the_first_frames_hold(tmp_path):
    train = YouTubeVOS(youtube_vos(tmp_path))
    [(name, masks)] = predictions(train)
    masks[0] = 7  # before and at an object's first frame nothing counts
    masks[1] = np.where(masks[1] == 2, 0, masks[1])
    score = train.score([(name, masks)], seen={"dog"})
    assert (score.G, score.seen_objects, score.unseen_objects) == (1.0, 1, 1)


def test_g_is_the_mean_of_four_means_over_objects(tmp_path):
    train = YouTubeVOS(youtube_vos(tmp_path))
    shifted = predictions(train, lambda mask: np.roll(mask, 2, axis=1))
    score = train.score(shifted, seen={"dog"})
    truth, guess = train["v1"].masks, shifted[0][1]
    expected = []
    for number, after in ((1, slice(1, None)), (2, slice(2, None))):
        pair = truth[after] == number, guess[after] == number
        expected += [region_similarity(*pair).mean(), contour_accuracy(*pair).mean()]
    found = [score.j_seen, score.f_seen, score.j_unseen, score.f_unseen]
    assert found == pytest.approx(expected) and score.G == pytest.approx(np.mean(expected))
    assert score.j_seen == pytest.approx(6 / 10)  # 8 columns wide, 2 off: 6 in both, 10 in either


def test_objects_weigh_the_same_however_long_they_are_there(tmp_path):
    train = YouTubeVOS(youtube_vos(tmp_path))
    only_second = predictions(train, lambda mask: np.where(mask == 2, mask, 0))
    score = train.score(only_second)  # train/meta.json: both categories are seen
    assert score.j_seen == pytest.approx(0.5)  # object 1: 0 over three frames; object 2: 1 over two
    assert math.isnan(score.j_unseen) and math.isnan(score.G) and score.unseen_objects == 0


def test_frames_that_an_object_has_left_count(tmp_path):
    youtube_vos(tmp_path)
    write_masks(tmp_path / "gone", {15: np.zeros(SIZE, dtype=np.uint8)})
    (tmp_path / "gone" / "00015.png").rename(tmp_path / "train" / "Annotations" / "v1" / "00015.png")
    train = YouTubeVOS(tmp_path)
    assert train.score(predictions(train)).j_seen == pytest.approx((2 / 3 + 1 / 2) / 2)  # guessed where nothing is: 0


def test_an_object_that_appears_in_the_last_frame_has_no_score(tmp_path):
    meta = youtube_vos(tmp_path) / "train" / "meta.json"
    meta.write_text(meta.read_text().replace('["00005", "00010", "00015"]', '["00015"]'))
    train = YouTubeVOS(tmp_path)
    assert train.score(predictions(train), seen={"dog"}).unseen_objects == 0


def test_masks_that_are_not_public_cannot_be_scored(tmp_path):
    valid = YouTubeVOS(youtube_vos(tmp_path, "valid"), split="valid")
    with pytest.raises(InputError, match="send a submission to https://codalab"):
        valid.score(predictions(valid), seen={"dog"})
    with pytest.raises(InputError, match="pass seen="):
        valid.score(predictions(valid))


def test_a_submission_holds_the_asked_frames_of_all_frames(tmp_path):
    valid = YouTubeVOS(youtube_vos(tmp_path, "valid"), split="valid", all_frames=True)
    valid.write_submission(tmp_path / "out.zip", iter(predictions(valid)))
    with zipfile.ZipFile(tmp_path / "out.zip") as archive:
        assert archive.namelist() == [f"Annotations/v1/{t:05d}.png" for t in (0, 5, 10, 15)]
        for t in (0, 5, 10, 15):
            with Image.open(io.BytesIO(archive.read(f"Annotations/v1/{t:05d}.png"))) as image:
                assert image.mode == "P" and (np.asarray(image) == PRESENT[t]).all()
                assert image.getpalette()[3:6] == [128, 0, 0]  # DAVIS's colour of object 1
    first = (tmp_path / "out.zip").read_bytes()
    valid.write_submission(tmp_path / "out.zip", predictions(valid))
    assert (tmp_path / "out.zip").read_bytes() == first


def test_a_submission_has_the_size_of_the_video_and_no_void(tmp_path):
    youtube_vos(tmp_path, "valid")
    small = YouTubeVOS(tmp_path, split="valid", short_side=12)
    masks = np.full((4, 12, 20), 255, dtype=np.uint8)
    masks[:, :6] = 1
    small.write_submission(tmp_path / "out.zip", [("v1", masks)])
    with (
        zipfile.ZipFile(tmp_path / "out.zip") as archive,
        Image.open(io.BytesIO(archive.read("Annotations/v1/00010.png"))) as image,
    ):
        expected = np.zeros(SIZE, dtype=np.uint8)
        expected[:12] = 1
        assert (np.asarray(image) == expected).all()


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda pairs: [], "1 of 1 videos have no prediction"),
        (lambda pairs: pairs * 2, "comes twice"),
        (lambda pairs: [("v2", pairs[0][1])], "is of no video here"),
        (lambda pairs: [("v1", pairs[0][1][:3])], "has 3 frames, its clip 4"),
    ],
)
def test_wrong_predictions_leave_no_zip(tmp_path, change, sentence):
    valid = YouTubeVOS(youtube_vos(tmp_path, "valid"), split="valid")
    with pytest.raises(InputError, match=sentence):
        valid.write_submission(tmp_path / "out" / "s.zip", change(predictions(valid)))
    assert not list((tmp_path / "out").iterdir())


def test_absent_wrong_or_broken_data_is_explained(tmp_path):
    with pytest.raises(InputError, match=r"no train/meta.json.*register at .*vl\.World"):
        YouTubeVOS(tmp_path)
    with pytest.raises(InputError, match="choose year 2018"):
        YouTubeVOS(tmp_path, year=2017)
    youtube_vos(tmp_path)
    (tmp_path / "train" / "meta.json").write_text('{"videos": {"v1": []}}')
    with pytest.raises(InputError, match="not a meta.json of YouTube-VOS"):
        YouTubeVOS(tmp_path)
    write_frames(tmp_path / "valid" / "JPEGImages" / "v1", [0])
    (tmp_path / "valid" / "meta.json").write_text(json.dumps({"videos": {f"v{i}": {"objects": {}} for i in range(474)}}))
    with pytest.raises(InputError, match="pass year=2018"):
        YouTubeVOS(tmp_path, year=2019, split="valid")
    assert len(YouTubeVOS(tmp_path, year=2018, split="valid")) == 474
