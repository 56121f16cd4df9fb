import numpy as np
import pytest

import vos_lab as vl
from vos_lab import metrics
from vos_lab.bench.plain import outline


@pytest.fixture(scope="module")
def arrays(reference):
    return np.load(reference / "metrics.npz")


def statistics(scores: metrics.Scores) -> np.ndarray:
    """(objects, J/F, mean/recall/decay) as in the reference."""
    per_object = scores.per_object
    return np.array([[[per_object[m][s][i] for s in metrics.STATISTICS] for m in "JF"] for i in range(len(scores.object_ids))])


def test_j_and_f_are_those_of_the_davis_tool(arrays):
    truth, prediction = arrays["ground_truth"], arrays["prediction"]
    for row, k in enumerate((1, 2, 3)):
        assert np.abs(metrics.region_similarity(truth == k, prediction == k) - arrays["J"][row]).max() < 1e-6
        assert np.abs(metrics.contour_accuracy(truth == k, prediction == k) - arrays["F"][row]).max() < 1e-6


@pytest.mark.parametrize("davis", [False, True])
def test_mean_recall_and_decay_are_those_of_the_davis_tool(arrays, davis):
    scores = vl.evaluate(arrays["prediction"], arrays["ground_truth"], davis=davis)
    assert np.abs(statistics(scores) - arrays["mean_recall_decay"]).max() < 1e-6


def test_truth_and_prediction_are_not_the_same_thing(arrays):
    """Swapped, the scored ids follow the other array, and so do decay and the mean over objects."""
    truth, prediction = arrays["ground_truth"].copy(), arrays["prediction"].copy()
    truth[:, truth[0] == 3] = 0
    truth[truth == 3] = 0  # the third object now exists in the prediction only
    right, swapped = vl.evaluate(prediction, truth), vl.evaluate(truth, prediction)
    assert right.object_ids == [1, 2] and swapped.object_ids == [1, 2, 3]
    assert right.JF != pytest.approx(swapped.JF, abs=0.05)


def test_an_object_that_is_lost_late_decays_and_one_found_late_gains():
    truth = np.zeros((21, 20, 20), np.uint8)
    truth[:, 5:15, 5:15] = 1
    lost = truth.copy()
    lost[11:] = 0
    assert vl.evaluate(lost, truth).J["decay"] == 1 and vl.evaluate(lost[::-1], truth).J["decay"] == -1


def test_quarters_of_seven_frames_are_those_of_the_davis_tool():
    """They end at frames 1, 2.5, 4, 5.5 and 7, counted from 1; halves go up."""
    assert metrics.decay(np.array([1.0, 1, 0, 0, 0, 1, 1])) == pytest.approx(2 / 3 - 1)
    assert metrics.decay(np.array([1.0, 1, 0, 0, 1, 0, 0])) == pytest.approx(2 / 3)


def plain_contour_accuracy(truth, prediction, radius):
    """One mask at a time, with a disk from scikit-image: how the definition reads."""
    from skimage.morphology import dilation, disk

    a, b = outline(truth), outline(prediction)
    grow = lambda m: dilation(np.pad(m, radius), disk(radius))[radius:-radius, radius:-radius]
    if a.sum() == 0 or b.sum() == 0:
        return float(a.sum() == b.sum())
    precision, recall = (b & grow(a)).sum() / b.sum(), (a & grow(b)).sum() / a.sum()
    return 2 * precision * recall / (precision + recall) if precision + recall else 0.0


@pytest.mark.parametrize(
    "size, radius", [((1, 1), 1), ((3, 50), 4), ((40, 7), 9), ((33, 45), 1), ((33, 45), 5), ((9, 64), 3), ((9, 129), 7)]
)
def test_f_of_many_masks_at_once_is_f_of_each(size, radius):
    """Of every density, on frames smaller than the disk too, and as wide as the 64 bits of a word and beyond."""
    rng = np.random.default_rng(0)
    density = rng.random((70, 1, 1)) ** 3
    truth, prediction = (rng.random((70, *size)) < density for _ in range(2))
    truth[:3], prediction[2:5] = False, False
    expected = [plain_contour_accuracy(t, p, radius) for t, p in zip(truth, prediction)]
    assert np.allclose(metrics.contour_accuracy(truth, prediction, radius), expected, atol=1e-12)


def test_f_of_masks_that_touch_the_right_edge_alone():
    """Columns in which nothing is on are cut away; the edge of the frame stays where it is."""
    rng = np.random.default_rng(0)
    truth, prediction = (np.pad(rng.random((20, 12, 30)) < 0.8, ((0, 0), (0, 0), (170, 0))) for _ in range(2))
    expected = [plain_contour_accuracy(t, p, 1) for t, p in zip(truth, prediction)]
    assert np.allclose(metrics.contour_accuracy(truth, prediction, 1), expected, atol=1e-12)


def test_dilation_grows_by_a_disk():
    point = np.zeros((1, 21, 21), bool)
    point[0, 10, 10] = True
    y, x = np.mgrid[-10:11, -10:11]
    grown = np.unpackbits(metrics.dilate(metrics.pack(point), 8).view(np.uint8), axis=2, bitorder="little")[0, :, :21]
    assert (grown == (x * x + y * y <= 64)).all()


def test_empty_masks():
    none, some = np.zeros((1, 9, 9), bool), np.zeros((1, 9, 9), bool)
    some[0, 3:6, 3:6] = True
    for measure in (metrics.region_similarity, metrics.contour_accuracy):
        assert measure(none, none) == 1 and measure(some, some) == 1
        assert measure(none, some) == 0 and measure(some, none) == 0


def test_decay_knows_truth_from_prediction():
    """Void is background on both sides, but only truth says which frames are scored: swapped, decay changes."""
    truth = np.zeros((12, 20, 20), np.uint8)
    truth[:, 5:15, 5:15] = 1
    prediction = truth.copy()
    prediction[7:] = 0
    truth[10:] = 255  # not annotated at the end, where the prediction is lost
    assert vl.evaluate(prediction, truth).J["decay"] != vl.evaluate(truth, prediction).J["decay"]


def two_objects(length=10):
    truth = np.zeros((length, 20, 30), np.uint8)
    truth[:, 2:10, 2:10] = 2
    truth[4:, 12:18, 20:28] = 9
    return truth


def test_ids_with_gaps_are_kept_and_late_objects_scored_from_the_frame_after_their_first():
    scores = vl.evaluate(two_objects(), two_objects())
    assert scores.object_ids == [2, 9]
    assert (~np.isnan(scores.j)).nonzero()[1].tolist() == [*range(1, 9), *range(5, 9)]
    assert scores.JF == 1


def test_davis_counts_all_ids_up_to_the_largest_of_the_first_frame():
    truth = two_objects()
    prediction = truth.copy()
    prediction[:, 15:, :5] = 1  # an id that truth does not hold
    scores = vl.evaluate(prediction, truth, davis=True)
    assert scores.object_ids == [1, 2] and scores.per_object["J"]["mean"] == [0, 1]


def test_each_score_is_that_of_the_plain_functions_wherever_the_object_is():
    truth, rng = np.zeros((3, 20, 300), np.uint8), np.random.default_rng(0)
    truth[:, 4:15, 250:300] = 1  # at the right edge of the frame
    truth[:, 0:9, 170:180] = 2
    prediction = np.where((truth > 0) & (rng.random(truth.shape) < 0.3), 3 - truth, truth).astype(np.uint8)
    scores = vl.evaluate(prediction, truth, name="edge")
    assert scores.name == "edge"
    for j, f, k in zip(scores.j, scores.f, scores.object_ids):
        assert np.allclose(j[1:2], metrics.region_similarity(truth == k, prediction == k)[1:2])
        assert np.allclose(f[1:2], metrics.contour_accuracy(truth == k, prediction == k)[1:2])


def test_void_is_background_and_frames_that_are_all_void_are_not_scored():
    truth = two_objects()
    truth[6] = 255
    prediction = truth.copy()
    prediction[prediction == 255] = 2
    truth[2, 2:10, 2:10] = 255  # object 2 becomes void: predicting it there is wrong
    scores = vl.evaluate(prediction, truth)
    assert np.isnan(scores.j[:, 6]).all() and scores.j[0, 2] == 0 and scores.j[0, 3] == 1


def test_sparse_truth_scores_its_last_frame_as_youtube_vos_does():
    truth = two_objects()
    truth[[1, 2, 3, 4, 6, 7, 8]] = 255  # annotated in frames 0, 5 and 9
    prediction = two_objects()
    prediction[9] = 0
    scores = vl.evaluate(prediction, truth)
    assert scores.j[0, [5, 9]].tolist() == [1, 0] and (~np.isnan(scores.j[0])).sum() == 2
    dense, asked = vl.evaluate(prediction, two_objects()), vl.evaluate(prediction, two_objects(), sparse=True)
    assert np.isnan(dense.j[0, 9]) and asked.j[0, 9] == 0


def test_tables_show_every_object_and_the_mean():
    scores = vl.evaluate(two_objects(), two_objects())
    assert repr(scores).splitlines()[1].startswith("object 2") and repr(scores).splitlines()[-1].startswith("mean")
    assert scores._repr_html_().count("<tr>") == 4
    both = metrics.DatasetScores([scores, metrics.Scores([1], np.zeros((1, 5)), np.zeros((1, 5)), "<b>lost</b>")])
    assert both.JF == pytest.approx(2 / 3)  # the mean over three objects, not over two clips
    assert "&lt;b&gt;lost" in both._repr_html_()


def known_scores(name, ids, *means):
    """Objects whose J and F are the same in both scored frames."""
    j, f = (np.array([[np.nan, x, x, np.nan] for x in values]) for values in zip(*means))
    return metrics.Scores(list(ids), j, f, name)


def test_tables_to_the_letter():
    pair, single = known_scores("pair", [2, 7], (0.8, 0.4), (0.6, 0.2)), known_scores("one", [1], (0.25, 0.75))
    assert repr(pair).splitlines() == [
        "            J&F  J mean  J recall  J decay  F mean  F recall  F decay",
        "object 2  0.600   0.800     1.000    0.000   0.400     0.000    0.000",
        "object 7  0.400   0.600     1.000    0.000   0.200     0.000    0.000",
        "mean      0.500   0.700     1.000    0.000   0.300     0.000    0.000",
    ]
    both = metrics.DatasetScores([pair, single])
    assert repr(both).splitlines() == [
        "clip (objects)    J&F  J mean  J recall  J decay  F mean  F recall  F decay",
        "pair (2)        0.500   0.700     1.000    0.000   0.300     0.000    0.000",
        "one (1)         0.500   0.250     0.000    0.000   0.750     1.000    0.000",
        "mean            0.500   0.550     0.667    0.000   0.450     0.333    0.000",
    ]
    assert [[clip, k, *np.round(row, 3)] for clip, k, *row in both.object_rows()] == [
        ["pair", 2, 0.6, 0.8, 1, 0, 0.4, 0, 0],
        ["pair", 7, 0.4, 0.6, 1, 0, 0.2, 0, 0],
        ["one", 1, 0.5, 0.25, 0, 0, 0.75, 1, 0],
    ]
    head = "<tr><th></th><th>J&amp;F</th>" + "".join(f"<th>{title}</th>" for title in metrics.HEADER[2:]) + "</tr>"
    numbers = ("0.500", "0.250", "0.000", "0.000", "0.750", "1.000", "0.000")
    line = "".join(f"<td>{x}</td>" for x in numbers)
    assert single._repr_html_() == f"<table>{head}<tr><td>object 1</td>{line}</tr><tr><td>mean</td>{line}</tr></table>"
    assert both._repr_html_().startswith(f"<table>{head.replace('<th></th>', '<th>clip (objects)</th>')}<tr><td>pair (2)</td>")


def test_the_score_of_a_frame_is_the_mean_of_j_and_f_over_its_objects():
    truth, prediction = np.zeros((2, 2, 20, 30), bool)
    truth[0, 5:15, 5:15] = prediction[0, 5:15, 5:15] = True  # one object is right
    truth[1, :5, 20:] = prediction[1, 15:, 20:] = True  # the other is elsewhere
    assert metrics.frame_score(truth, prediction) == 0.5
    prediction[1] = False
    prediction[1, :5, 20:25] = True  # half of it
    j, f = metrics.region_similarity(truth, prediction), metrics.contour_accuracy(truth, prediction)
    assert j.tolist() == [1, 0.5] and 0 < f[1] < 1
    assert metrics.frame_score(truth, prediction) == pytest.approx((1 + 1 + 0.5 + f[1]) / 4)


@pytest.mark.parametrize(
    "prediction, truth, sentence",
    [
        (two_objects()[:, 1:], two_objects(), "one shape"),
        (two_objects(2), two_objects(2), "3 frames or more"),
        (two_objects(), two_objects() * 0, "no object"),
        (two_objects(), np.concatenate([two_objects()[:1], np.full((9, 20, 30), 255, np.uint8)]), "annotated in no frame"),
    ],
)
def test_what_cannot_be_scored_is_refused(prediction, truth, sentence, as_user):
    with pytest.raises(vl.InputError, match=sentence):
        vl.evaluate(prediction, truth)


def test_the_smallest_clip_and_the_smallest_object():
    """Three frames, of which the middle one is scored; one pixel, found, missed, and half of what was found."""
    truth = np.zeros((3, 5, 70), dtype=np.uint8)
    truth[:, 2, 65] = 1
    found = vl.evaluate(truth, truth)
    assert found.j.shape == (1, 3) and found.J["mean"] == 1.0 and found.F["mean"] == 1.0
    more = truth.copy()
    more[1, 2, 66] = 1
    half = vl.evaluate(more, truth).J
    assert half["mean"] == 0.5 and half["recall"] == 0.0  # recall counts frames above one half


def test_davis_looks_at_the_first_frame_for_the_number_of_objects():
    truth = np.zeros((4, 6, 8), dtype=np.uint8)
    truth[:, :2] = 1
    truth[1:, 4:] = 3  # a later object, with a gap in the ids
    assert vl.evaluate(truth, truth, davis=True).object_ids == [1]
    assert vl.evaluate(truth, truth).object_ids == [1, 3]


def test_bits_are_counted_alike_with_and_without_numpy_2(monkeypatch):
    words = np.random.default_rng(0).integers(0, 2**64, (3, 4, 2), dtype=np.uint64)
    expected = [sum(int(word).bit_count() for word in mask.ravel()) for mask in words]
    assert metrics.count_bits(words).tolist() == expected
    monkeypatch.delattr(np, "bitwise_count", raising=False)
    assert metrics.count_bits(words[:, :, ::-1]).tolist() == expected


def test_masks_of_ids_are_no_masks_of_one_object(as_user):
    """They would be empty, and two empty masks agree."""
    left, right = np.zeros((1, 12, 20), np.uint8), np.zeros((1, 12, 20), np.uint8)
    left[:, 4:8, 2:6], right[:, 4:8, 14:18] = 255, 255
    for score in (metrics.region_similarity, metrics.contour_accuracy):
        assert score(left > 0, right > 0) == 0
        for wrong in ((left, right), (left > 0, right), (left[0] > 0, right[0] > 0)):
            with pytest.raises(vl.InputError, match="must be bool .n,H,W.|must have one shape"):
                score(*wrong)


def test_nothing_to_score_is_said(as_user):
    with pytest.raises(vl.InputError, match="truth holds no object"):
        late = two_objects()
        late[0] = 0
        vl.evaluate(late, late, davis=True)
    with pytest.raises(vl.InputError, match="no masks to score"):
        vl.evaluate(late, None)
