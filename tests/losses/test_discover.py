"""Objects that nobody annotated: found in one frame, followed through the others by their keys."""

import pytest
import torch

from vos_lab.clip import IMAGENET_MEAN, IMAGENET_STD, normalise
from vos_lab.losses.discover import follow_regions, propose_regions, region_maps


def squares():
    """Two frames with a red and a blue square on grey, which change places."""
    frames = torch.full((2, 64, 64, 3), 128, dtype=torch.uint8)
    places = [(slice(8, 28), slice(8, 28)), (slice(36, 56), slice(36, 56))]
    for t in range(2):
        frames[t][places[t]] = torch.tensor([250, 10, 10], dtype=torch.uint8)
        frames[t][places[1 - t]] = torch.tensor([10, 10, 250], dtype=torch.uint8)
    return frames, places


def test_regions_are_the_squares_and_not_the_ground():
    frames, places = squares()
    regions = propose_regions(normalise(frames))
    assert regions.shape == (2, 64, 64) and regions[:, 0, 0].tolist() == [0, 0]  # the ground is too large
    for t in range(2):
        numbers = [regions[t][place][4:-4, 4:-4].unique().tolist() for place in places]
        assert sorted(numbers) == [[1], [2]]


def scene():
    """Keys (2,2,8,8) and regions (2,16,16) of two things, numbered and placed differently in the two frames."""
    regions = torch.zeros(2, 16, 16, dtype=torch.int64)
    regions[0, :8, :8], regions[0, 8:, 8:] = 1, 2
    regions[1, :8, :8], regions[1, 8:, 8:] = 1, 2
    keys = torch.zeros(2, 2, 8, 8)
    keys[0, 0, :4, :4] = keys[0, 1, 4:, 4:] = 1  # thing a: key (1,0), above left · thing b: (0,1), below right
    keys[1, 1, :4, :4] = keys[1, 0, 4:, 4:] = 1  # they change places
    return keys, regions, torch.zeros(2, 8, 8)


def test_a_region_is_followed_by_its_keys_and_not_by_its_number_or_place():
    maps = follow_regions(*scene())
    assert maps.shape == (2, 2, 8, 8)
    assert maps[0, 0, :4, :4].eq(1).all() and maps[1, 0, 4:, 4:].eq(1).all()
    assert maps[0, 1, 4:, 4:].eq(1).all() and maps[1, 1, :4, :4].eq(1).all()
    assert maps.sum() == 4 * 16


def test_what_is_not_surely_the_same_is_dropped():
    keys, regions, annotated = scene()
    other = keys.clone()
    other[1, :, 4:, 4:] = torch.tensor([-1.0, 0.2])[:, None, None]  # thing a has gone, something else is there
    maps = follow_regions(other, regions, annotated)
    assert not maps[1, 0].any() and maps[1, 1].any()
    twins = torch.ones_like(keys)
    twins[1, 0, 4:, 4:] = 0.9  # both look alike: only the best pair stays
    maps = follow_regions(twins, regions, annotated)
    assert maps[1].flatten(1).any(1).sum() == 1


def test_regions_on_annotated_objects_are_left_out_and_nothing_is_fine():
    keys, regions, annotated = scene()
    annotated[:, :4, :4] = 1
    maps = follow_regions(keys, regions, annotated)
    assert maps.shape == (2, 1, 8, 8)
    assert follow_regions(keys, torch.zeros_like(regions), annotated).shape == (2, 0, 8, 8)
    assert not follow_regions(keys, regions * torch.tensor([1, 0])[:, None, None], annotated)[1].any()


@pytest.mark.parametrize(
    ("size", "expected"), [((64, 160), (64, 160)), ((160, 64), (160, 64)), ((96, 96), (48, 48)), ((40, 40), (40, 40))]
)
def test_regions_are_sought_at_64_pixels_of_the_shorter_side(size, expected):
    assert propose_regions(torch.zeros(1, 3, *size)).shape[1:] == expected


def on_grey(ground: float, square: float) -> torch.Tensor:
    """A frame with a grey square on grey ground; both are shares of white, before normalisation."""
    frame = torch.full((1, 64, 64, 3), ground)
    frame[:, 20:40, 20:40] = square
    return ((frame - torch.tensor(IMAGENET_MEAN)) / torch.tensor(IMAGENET_STD)).movedim(3, 1)


@pytest.mark.parametrize(
    ("ground", "square", "seen"),
    [
        (0.5, 0.3, True),
        (0.3, 0.5, True),
        (1.0, 1.5, False),  # brighter than white, as colour jitter may make it, is white
        (0.0, -0.5, False),
    ],
)
def test_a_region_is_what_the_eye_can_see(ground, square, seen):
    assert (propose_regions(on_grey(ground, square)) == 1).any() == seen


def test_a_frame_without_regions_does_not_end_the_following():
    keys, regions, annotated = scene()
    three = lambda x: torch.stack([x[0], x[0], x[1]])
    gap = three(regions)
    gap[1] = 0
    maps = follow_regions(three(keys), gap, three(annotated))
    assert not maps[1].any() and maps[2].flatten(1).any(1).all()


def test_each_pair_is_compared_with_its_own_rivals():
    keys, regions, annotated = scene()
    keys[1, :, :4, :4] = torch.tensor([0.6, 0.8])[:, None, None]  # thing b has changed somewhat: cosine 0.8, and a's is 1
    assert follow_regions(keys, regions, annotated)[1].flatten(1).any(1).all()


def test_regions_are_sought_in_the_colours_of_the_picture(monkeypatch):
    """Not in normalised ones, in which a step of red would count for more than a step of green."""
    asked = []
    monkeypatch.setattr(
        "skimage.segmentation.felzenszwalb", lambda frame, **_: asked.append(frame) or frame[..., 0].astype(int)
    )
    picture = torch.randint(0, 256, (1, 64, 64, 3), generator=torch.manual_seed(0), dtype=torch.uint8)
    propose_regions(normalise(picture))
    assert torch.allclose(torch.from_numpy(asked[0]), picture[0] / 255, atol=1e-5)


def test_a_partner_that_is_more_like_another_is_no_partner():
    """At these angles later region 0 is most like first region 1, whose other partner fits the two together better."""
    angles = torch.tensor([[44.0, 0.0], [18.2, -19.9]]).deg2rad()  # (frames, regions)
    keys = torch.stack([angles.cos(), angles.sin()], 1).unsqueeze(2)  # (t,c,1,regions)
    found = follow_regions(keys, torch.tensor([[[1, 2]], [[1, 2]]]), torch.zeros(2, 1, 2))
    assert found[0].sum() == 2 and not found[1].any()


def test_a_region_is_left_out_for_the_share_of_itself_that_is_annotated():
    regions = torch.ones(8, 8, dtype=torch.int64)  # cells of 2x2 pixels; number 1 is the ground
    regions[0, :2], regions[2:6, :4], regions[6:, 4:6] = 2, 3, 5  # half of a cell, four cells, one cell; none has number 4
    annotated = torch.zeros(4, 4)
    annotated[0, 0], annotated[1, 0] = 0.15, 0.3  # of region 2: 0.15; of region 3: 0.3 / 4
    maps = region_maps(regions, (4, 4), annotated)
    assert maps.sum((1, 2)).tolist() == [10.5, 4, 1]
    annotated[0, 0] = 0.05
    assert region_maps(regions, (4, 4), annotated).sum((1, 2)).tolist() == [10.5, 0.5, 4, 1]
