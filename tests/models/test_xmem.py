"""XMem: exact to the public implementation, and what its memory must do."""

import json

import numpy as np
import pytest
import torch
from filled import filled

import vos_lab as vl
from vos_lab.memory import reading
from vos_lab.models.presets import build
from vos_lab.models.xmem import SensoryCell, XMem

POLICIES = {
    "working": vl.EveryNth(2),
    "long": vl.LongTerm(every=2, min_working=3, max_working=5, prototypes=16, max_long_term=36),
}


@pytest.fixture(scope="module")
def xmem_state(reference):
    return filled(json.loads((reference / "xmem_state_dict_shapes.json").read_text()))


@pytest.fixture(scope="module")
def xmem(xmem_state, tmp_path_factory):
    path = tmp_path_factory.mktemp("weights") / "XMem.pth"
    torch.save(xmem_state, path)
    return vl.load_model("xmem", weights=path)


@pytest.fixture(scope="module")
def clip(reference):
    """Frames (13,3,64,96), masks (2,64,96) of the first, and what the public implementation gave."""
    arrays = np.load(reference / "xmem.npz")
    frames = np.concatenate([np.load(reference / "stcn.npz")["frames_8000"], arrays["later_frames_8000"]])
    masks = np.stack([arrays["first_mask"] == 1, arrays["first_mask"] == 2])
    return torch.from_numpy(frames).float() / 8000, torch.from_numpy(masks).float(), arrays


def track(model, frames, masks, policy, top_k=10):
    """Probabilities (3,T,H,W), and (working, long-term) cells when each frame after the first was read."""
    tracker = vl.Tracker(model, policy, top_k=top_k)
    prob, sizes = [tracker.start(frames[0], masks)], []
    for frame in frames[1:]:
        prob.append(tracker.step(frame))
        sizes.append(list(tracker.groups[0].bank.cells.values()))
    return torch.stack(prob, 1), sizes


@pytest.mark.parametrize("name, count", [("working", 9), ("long", 13)])
def test_it_tracks_as_the_public_implementation(xmem, clip, name, count):
    frames, masks, arrays = clip
    prob, sizes = track(xmem, frames[:count], masks, POLICIES[name])
    expected = torch.from_numpy(arrays[f"{name}_65535"].astype(np.float32)) / 65535
    assert (prob[1:, :, ::4, ::4] - expected).abs().max() < 1e-4
    if name == "long":  # which holds consolidated cells from frame 8 on
        assert sizes == arrays["memory_sizes"][: count - 1].tolist() and sizes[-1][1] == 16


@pytest.mark.parametrize("name", ["working", "long"])
def test_the_whole_reference(xmem, whole_reference, name, monkeypatch):
    """To 1e-4, but for frames in which the last memory cell that top-k keeps and the first that it drops are as good as equal:
    there, rounding decides which of the two is read."""
    arrays = np.load(whole_reference / f"xmem_{name}_small.npz")
    frames, first = torch.from_numpy(arrays["frames"]), arrays["first_mask"]
    gaps = []

    def noting(logits, top_k, *, best_cells=reading.best_cells):
        best = logits.topk(min(top_k + 1, logits.shape[1]), dim=1).values
        gaps.append((best[:, top_k - 1] - best[:, -1]).min())
        return best_cells(logits, top_k)

    monkeypatch.setattr(reading, "best_cells", noting)
    tracker = vl.Tracker(xmem, POLICIES[name], top_k=10)
    prob = [tracker.start(frames[0], torch.from_numpy(np.stack([first == 1, first == 2])).float())]
    sizes = []
    for frame in frames[1:]:
        prob.append(tracker.step(frame))
        sizes.append(list(tracker.groups[0].bank.cells.values()))
    error = (torch.stack(prob, 1) - torch.from_numpy(arrays["prob"])).abs().amax((0, 2, 3))  # (22,)
    assert sizes == arrays["memory_sizes"][:-1].tolist()
    off = (error >= 1e-4).nonzero().flatten().tolist()
    assert error.max() < 2e-3 and len(off) <= 2
    assert len(gaps) == len(frames) - 1 and all(gaps[t - 1] < 1e-6 for t in off)


def test_the_published_size():
    with torch.device("meta"):
        assert round(sum(p.numel() for p in XMem().parameters()) / 1e6, 2) == 62.19


def test_a_memory_smaller_than_top_k_is_read_whole(xmem, clip):
    frames, masks, _ = clip
    a, _ = track(xmem, frames[:3], masks, vl.EveryNth(5), top_k=30)  # 24 cells
    b, _ = track(xmem, frames[:3], masks, vl.EveryNth(5), top_k=None)
    assert torch.allclose(a, b, atol=1e-5)


def test_groups_that_appear_at_different_times_consolidate_on_their_own(xmem, clip):
    frames, masks, _ = clip
    tracker = vl.Tracker(xmem, POLICIES["long"], top_k=10)
    tracker.start(frames[0], masks[:1])
    for t in range(1, 12):
        prob = tracker.step(frames[t])
        if t == 3:
            prob = tracker.add_objects(masks[1:], [2])
    assert prob.shape == (3, 64, 96) and torch.allclose(prob.sum(0), torch.ones(64, 96), atol=1e-5)
    first, second = (group.bank for group in tracker.groups)
    assert first.frames == [0, 6, 8, 10] and second.frames == [3, 5, 7, 9]
    assert first.cells == {"working": 96, "long-term": 16} and second.cells == {"working": 96, "long-term": 0}


def test_the_sensory_memory_is_what_carries_from_frame_to_frame(xmem, clip):
    """A model whose sensory memory is wiped before each frame draws something else."""
    frames, masks, _ = clip
    whole, _ = track(xmem, frames[:6], masks, POLICIES["working"])
    tracker = vl.Tracker(xmem, POLICIES["working"], top_k=10)
    tracker.start(frames[0], masks)
    for t in range(1, 6):
        tracker._remember()
        tracker.groups[0].sensory = torch.zeros_like(tracker.groups[0].sensory)
        tracker._remember = lambda: None
        prob = tracker.step(frames[t])
        del tracker._remember
    assert (prob - whole[:, 5]).abs().max() > 1e-3


def test_the_gates_forget_and_take_up():
    cell = SensoryCell(4, 2)
    torch.nn.init.zeros_(cell.transform.weight)
    h, x = torch.full((1, 2, 3, 3), 0.7), torch.randn(1, 4, 3, 3)
    with torch.no_grad():
        cell.transform.bias.copy_(torch.tensor([50.0, 50, -50, -50, 1, 1]))  # keep all, take up nothing
        assert torch.allclose(cell(x, h), h)
        cell.transform.bias.copy_(torch.tensor([50.0, 50, 50, 50, 1, 1]))  # take up all
        assert torch.allclose(cell(x, h), torch.tensor(1.0).tanh().expand_as(h))


def test_small_and_published_weights_are_kept_apart(xmem_state, stcn_file, tmp_path, as_user):
    with pytest.raises(vl.InputError, match="holds STCN weights, not XMem's: load it as 'stcn'"):
        vl.load_model("xmem", weights=stcn_file)
    path = tmp_path / "cut.pth"
    torch.save({name: x for name, x in xmem_state.items() if "e_proj" not in name}, path)
    with pytest.raises(vl.InputError, match="selection_proj.weight is missing"):
        vl.load_model("xmem", weights=path)
    assert sum(p.numel() for p in build("xmem-small").parameters()) < 4e6


def test_a_recorded_track_says_where_xmem_looked_long_term_memory_included(clip):
    """The affinity that is worked out afterwards, from the record, is the one that was read with."""
    frames, masks, _ = clip
    torch.manual_seed(0)
    model = build("xmem-small").eval()
    model.precision = "fp32"
    ids = np.full((13, 64, 96), 255, np.uint8)
    ids[0] = (masks[0] + 2 * masks[1]).numpy()
    video = vl.Clip((frames - frames.amin()).mul(20).byte().movedim(1, -1).numpy(), ids)
    tracker = vl.Tracker(model, POLICIES["long"], top_k=10)
    track = tracker.run(video, record=True)
    bank, features = tracker.groups[0].bank, tracker._features  # as they were when the last frame was read
    reach = bank.content("shrinkage")[None, None], features.selection.flatten(2)
    read = vl.memory.affinity(vl.memory.similarity(bank.keys, features.key.flatten(2), "anisotropic", *reach), 10)[0]
    by_origin = dict(zip(bank.content("origin").tolist(), read))
    recorded = dict(zip(track.origins(12).tolist(), track.affinity(12)[0]))
    assert bank.long_term == 16 and recorded.keys() == by_origin.keys() and len(recorded) == len(read)
    assert all(torch.allclose(by_origin[origin], recorded[origin], atol=1e-4) for origin in recorded)


def test_any_similarity_can_be_put_in_place_of_xmems_own(xmem, clip):
    frames, masks, _ = clip
    tracker = vl.Tracker(xmem, POLICIES["long"], top_k=10, kind="l2")
    tracker.start(frames[0], masks)
    for frame in frames[1:]:
        prob = tracker.step(frame)
    assert prob.isfinite().all() and tracker.groups[0].bank.long_term == 16


def test_consolidation_needs_the_usage_that_only_our_reader_counts(xmem):
    with pytest.raises(vl.InputError, match="needs the usage that memory.read counts"):
        vl.Tracker(xmem, read=lambda *a, **k: None)
