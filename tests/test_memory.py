import math

import pytest
import torch

import vos_lab as vl
from vos_lab import memory

KINDS = ["l2", "dot", "cosine", "anisotropic"]


@pytest.fixture
def cells():
    """Keys of 3 frames of 4x5 memory cells and of 17 query cells, and values of 2 objects; two samples in the batch."""
    torch.manual_seed(0)
    return torch.randn(2, 8, 60), torch.randn(2, 8, 17), torch.randn(2, 2, 6, 60)


def plain_read(key, query, values, top_k=None, kind="l2", **options):
    weights = memory.affinity(memory.similarity(key, query, kind), top_k, **options)
    return torch.einsum("bkcn,bnm->bkcm", values, weights)


def test_l2_is_the_negative_squared_distance_up_to_a_constant_per_query_cell(cells):
    key, query, _ = cells
    distance = (key[:, :, :, None] - query[:, :, None]).square().sum(1) / math.sqrt(8)
    offset = memory.similarity(key, query) + distance
    assert torch.allclose(offset, offset[:, :1].expand_as(offset), atol=1e-5)


def test_anisotropic_is_the_weighted_distance(cells):
    key, query, _ = cells
    s, e = torch.rand(2, 1, 60) + 1, torch.rand(2, 8, 17)
    difference = (key[:, :, :, None] - query[:, :, None]).square()  # (b,c,n,m)
    expected = -s[:, 0, :, None] * (e[:, :, None] * difference).sum(1) / math.sqrt(8)
    assert torch.allclose(memory.similarity(key, query, "anisotropic", s, e), expected, atol=1e-5)


def test_anisotropic_with_ones_sees_what_l2_sees(cells):
    key, query, _ = cells
    a, b = (memory.affinity(memory.similarity(key, query, kind)) for kind in ("anisotropic", "l2"))
    assert torch.allclose(a, b, atol=1e-6)


def test_dot_prefers_a_loud_cell_and_l2_and_cosine_do_not():
    query = torch.tensor([[[1.0], [0.0]]])  # (1,2,1)
    key = torch.tensor([[[1.0, 10.0], [0.0, 10.0]]])  # the query's twin, and a loud cell 45 degrees away
    best = {kind: memory.similarity(key, query, kind)[0, :, 0].argmax().item() for kind in KINDS}
    assert best == {"l2": 0, "dot": 1, "cosine": 0, "anisotropic": 0}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("top_k", [None, 1, 7, 1000])
def test_columns_sum_to_one(cells, kind, top_k):
    weights = memory.affinity(memory.similarity(*cells[:2], kind), top_k)
    assert weights.shape == (2, 60, 17)
    assert torch.allclose(weights.sum(1), torch.ones(2, 17))
    assert (weights > 0).sum(1).eq(min(top_k or 60, 60)).all()


def test_top_k_keeps_the_best_and_their_proportions(cells):
    s = memory.similarity(*cells[:2])
    full, top = memory.affinity(s), memory.affinity(s, top_k=5)
    kept = top > 0
    assert torch.allclose(top[kept].view(-1), (full * kept / (full * kept).sum(1, keepdim=True))[kept].view(-1), atol=1e-6)
    assert (full.masked_fill(kept, 0).amax(1) <= full.masked_fill(~kept, 1).amin(1)).all()


def test_affinity_is_safe_for_large_values(cells):
    weights = memory.affinity(1e4 * memory.similarity(*cells[:2]))
    assert weights.isfinite().all() and torch.allclose(weights.sum(1), torch.ones(2, 17))


def test_temperature_sharpens_and_prior_forbids(cells):
    s = memory.similarity(*cells[:2])
    assert (memory.affinity(s, temperature=0.1).amax(1) > memory.affinity(s).amax(1)).all()
    prior = torch.zeros(1, 60, 1)
    prior[:, 20:40] = -torch.inf
    assert memory.affinity(s, prior=prior)[:, 20:40].eq(0).all()


@pytest.fixture(params=[(1, 1), (7, 2 * 7 * 5), (60, 2 * 60 * 5), (2**14, 2**21)])
def tiled(request, monkeypatch):
    """Reads take so many memory cells, and so many entries of the affinity, at a time."""
    monkeypatch.setattr(memory.reading, "TILE_CELLS", request.param[0])
    monkeypatch.setattr(memory.reading, "TILE", request.param[1])


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("top_k", [None, 1, 7, 1000])
def test_read_is_the_plain_read_however_it_is_tiled(cells, tiled, kind, top_k):
    key, query, values = cells
    prior = torch.randn(2, 60, 17)
    options = dict(top_k=top_k, kind=kind, temperature=0.7, prior=prior)
    assert torch.allclose(memory.read(key, query, values, **options), plain_read(key, query, values, **options), atol=1e-6)


def test_read_tiles_shrinkage_and_selection_with_the_keys(cells, tiled):
    key, query, values = cells
    s, e = torch.rand(2, 1, 60) + 1, torch.rand(2, 8, 17)
    weights = memory.affinity(memory.similarity(key, query, "anisotropic", s, e), 7)
    expected = torch.einsum("bkcn,bnm->bkcm", values, weights)
    assert torch.allclose(
        memory.read(key, query, values, top_k=7, kind="anisotropic", shrinkage=s, selection=e), expected, atol=1e-6
    )


@pytest.mark.parametrize("top_k", [None, 7])
def test_read_has_the_gradient_of_the_plain_read(cells, tiled, top_k):
    grads = []
    for read in (memory.read, plain_read):
        leaves = [x.clone().requires_grad_() for x in cells]
        read(*leaves, top_k=top_k).square().sum().backward()
        grads.append([x.grad for x in leaves])
    for ours, plain in zip(*grads):
        assert torch.allclose(ours, plain, atol=1e-4)


@pytest.mark.parametrize("top_k", [None, 7, 1000])
def test_usage_is_what_the_affinity_gives(cells, tiled, top_k):
    key, query, values = cells
    usage = torch.ones(2, 60)
    memory.read(5 * key, 5 * query, values, top_k=top_k, usage=usage)
    assert torch.allclose(usage - 1, memory.affinity(memory.similarity(5 * key, 5 * query), top_k).sum(2), atol=1e-5)


@pytest.mark.parametrize("top_k", [None, 7])
def test_what_a_prior_forbids_is_not_read(cells, tiled, top_k):
    key, query, values = cells
    prior = torch.zeros(1, 60, 1)
    prior[:, :20] = -torch.inf
    allowed = memory.read(key[:, :, 20:], query, values[..., 20:], top_k=top_k)
    assert torch.allclose(memory.read(key, query, values, top_k=top_k, prior=prior), allowed, atol=1e-6)


@pytest.mark.parametrize("top_k", [None, 7])
def test_a_cell_to_which_all_is_forbidden_reads_nothing(cells, tiled, top_k):
    key, query, values = cells
    prior = torch.zeros(1, 60, 17)
    prior[:, :, 3] = -torch.inf
    found = memory.read(key, query, values, top_k=top_k, prior=prior)
    assert found[..., 3].isnan().all() and found[..., :3].isfinite().all() and found[..., 4:].isfinite().all()


def test_reads_in_bfloat16_are_those_in_float32(cells, tiled):
    key, query, values = (0.3 * x for x in cells)
    low = memory.read(*(x.bfloat16() for x in (key, query, values)))
    assert low.dtype == torch.bfloat16 and (low.float() - memory.read(key, query, values)).abs().max() < 0.02


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("kind", KINDS)
def test_half_precision_does_not_overflow(dtype, kind):
    torch.manual_seed(0)
    key, query = (200 * torch.randn(1, 64, n) for n in (30, 20))
    reach = {"shrinkage": 1 + torch.rand(1, 1, 30), "selection": torch.rand(1, 64, 20)} if kind == "anisotropic" else {}
    small = {name: x.to(dtype) for name, x in reach.items()}
    found = memory.affinity(memory.similarity(key.to(dtype), query.to(dtype), kind, **small))
    assert found.isfinite().all() and torch.allclose(found.sum(1), torch.ones(1, 20), atol=1e-5)
    assert found.dtype == torch.float32  # also of bfloat16: it has too few digits to subtract squares
    values = torch.randn(1, 2, 3, 30).to(dtype)
    readout = memory.read(key.to(dtype), query.to(dtype), values, kind=kind, **small)
    assert readout.dtype == dtype and readout.isfinite().all()
    assert torch.allclose(readout, torch.einsum("bkcn,bnm->bkcm", values.float(), found.float()).to(dtype), atol=0.05)


@pytest.mark.parametrize("top_k", [None, 7])
def test_permuting_memory_changes_nothing(cells, top_k):
    key, query, values = cells
    order = torch.randperm(60)
    assert torch.allclose(
        memory.read(key, query, values, top_k=top_k),
        memory.read(key[:, :, order], query, values[..., order], top_k=top_k),
        atol=1e-6,
    )


def test_reading_one_cell_gives_its_value(cells):
    key, query, values = cells
    readout = memory.read(key[:, :, :1], query, values[..., :1], top_k=20)
    assert torch.allclose(readout, values[..., :1].expand_as(readout))


BAD_FOR_AFFINITY = [({"top_k": 0}, "top_k=0"), ({"temperature": 0.0}, "temperature=0.0")]
BAD_FOR_SIMILARITY = [
    ({"kind": "l2", "selection": torch.ones(2, 8, 17)}, "anisotropic"),
    ({"kind": "dot", "shrinkage": torch.ones(2, 1, 60)}, "anisotropic"),
]


@pytest.mark.parametrize("options, sentence", BAD_FOR_AFFINITY + BAD_FOR_SIMILARITY)
def test_bad_options_are_named(cells, options, sentence):
    with pytest.raises(vl.InputError, match=sentence):
        memory.read(*cells, **options)


@pytest.mark.parametrize("options, sentence", BAD_FOR_AFFINITY)
def test_affinity_names_its_own_bad_options(cells, options, sentence):
    similarity = memory.similarity(*cells[:2])
    with pytest.raises(vl.InputError, match=sentence):
        memory.affinity(similarity, **options)


@pytest.mark.parametrize("options, sentence", BAD_FOR_SIMILARITY)
def test_similarity_names_its_own_bad_options(cells, options, sentence):
    with pytest.raises(vl.InputError, match=sentence):
        memory.similarity(*cells[:2], **options)


def test_keys_of_another_model_and_missing_values_are_refused(cells, as_user):
    key, query, values = cells
    with pytest.raises(vl.InputError, match="8 channels and query keys 4"):
        memory.similarity(key, query[:, :4])
    with pytest.raises(vl.InputError, match="60 keys but 59 values"):
        memory.read(key, query, values[..., 1:])
    with pytest.raises(vl.InputError, match="empty"):
        memory.affinity(torch.zeros(1, 0, 5))


def remembered(policy: memory.Policy, steps: int) -> list[list[int]]:
    """What is in memory after each frame."""
    frames, history = [], []
    for t in range(steps):
        frames = policy.keep([*frames, t])
        history.append(frames)
    return history


def test_policies_remember_what_they_say():
    assert remembered(memory.EveryNth(3), 8)[-1] == [0, 3, 6]
    assert remembered(memory.EveryNth(3, include_last=True), 8)[-1] == [0, 3, 6, 7]
    assert remembered(memory.Fifo(3), 8)[-1] == [5, 6, 7]
    assert remembered(memory.Fifo(2, every=3), 8)[-1] == [3, 6]
    assert remembered(memory.FirstAndLast(), 8)[-1] == [0, 7]
    assert [len(frames) for frames in remembered(memory.FirstAndLast(), 3)] == [1, 2, 2]


@pytest.mark.parametrize("policy", [memory.EveryNth(4), memory.Fifo(2, every=4), memory.FirstAndLast()])
def test_an_object_that_appears_late_keeps_its_first_frame(policy):
    assert policy.keep([7]) == [7]


@pytest.mark.parametrize("make", [lambda: memory.EveryNth(0), lambda: memory.Fifo(0), lambda: memory.Fifo(3, every=0)])
def test_a_policy_that_remembers_nothing_is_refused(make):
    with pytest.raises(vl.InputError, match="remembers nothing"):
        make()


def test_the_bank_holds_what_was_written_and_not_forgotten():
    torch.manual_seed(0)
    bank, written = memory.MemoryBank(), {}
    for t in range(20):
        bank.keep([f for f in bank.frames if f % 3 == 0 or f > t - 4])
        written[t] = torch.randn(1, 8, 4, 5), torch.randn(1, 2, 6, 4, 5)
        bank.write(t, *written[t])
    assert bank.frames == [0, 3, 6, 9, 12, 15, 16, 17, 18, 19]
    key = torch.cat([written[f][0].flatten(2) for f in bank.frames], 2)
    value = torch.cat([written[f][1].flatten(3) for f in bank.frames], 3)
    query = torch.randn(1, 8, 4, 5)
    expected = plain_read(key, query.flatten(2), value, top_k=7).unflatten(3, (4, 5))
    assert torch.allclose(bank.read(query, top_k=7), expected, atol=1e-6)
    assert bank.bytes == 10 * 20 * ((8 + 2 * 6 + 2) * 4 + 8)


def test_the_bank_does_not_grow_when_frames_leave_as_others_come():
    bank = memory.MemoryBank()
    for t in range(50):
        bank.keep([f for f in bank.frames if f > t - 3])
        bank.write(t, torch.zeros(1, 8, 4, 5), torch.zeros(1, 1, 6, 4, 5))
    assert len(bank._working["key"]) <= 4


@pytest.mark.parametrize("n", [40, 640, 641, 700, 2000])
@pytest.mark.parametrize("crowded", [False, True])
def test_best_cells_are_those_of_topk(n, crowded):
    torch.manual_seed(0)
    logits = torch.stack([torch.randperm(n) for _ in range(30)], 1).float()[None]  # (1,n,30), no two of a column alike
    if crowded:  # the best ones side by side, at the end, where the last ones fill no group
        logits = logits.sort(1).values
    best, where = memory.best_cells(logits, 20)
    wanted = logits.topk(20, dim=1)
    assert torch.equal(best, wanted.values) and torch.equal(where, wanted.indices)


def test_a_budget_of_cells_is_kept_and_what_stays_is_what_was_chosen():
    asked = []

    def every_other(frames, usage, room):
        asked.append((frames.clone(), usage.clone(), room))
        return torch.arange(0, len(frames), 2)[:room]

    torch.manual_seed(0)
    policy, bank = memory.CellBudget(20, every_other), memory.MemoryBank()
    for t in range(4):
        policy.forget(bank, policy.keep([*bank.frames, t]))
        before = None if not t else bank.keys.clone()
        bank.write(t, torch.randn(1, 8, 3, 4), torch.randn(1, 2, 5, 3, 4))
        bank.read(torch.randn(1, 8, 3, 4), top_k=6)
        assert before is None or torch.equal(bank.keys[:, :, : before.shape[2]], before)  # they stay as they were
        assert sum(bank.cells.values()) <= 20
    frames, usage, room = asked[-1]
    assert room == 8 and sorted(frames.unique().tolist()) == [0, 1, 2]
    assert usage.sum() > 0 and bank.keys.shape[2] == 20
    for wrong in (torch.arange(9), torch.tensor([1, 1]), torch.tensor([20]), torch.tensor([0, 20]), torch.tensor([-1])):
        with pytest.raises(vl.InputError, match="at most 8, each once|the numbers 0 to 19"):
            memory.CellBudget(20, lambda frames, usage, room, wrong=wrong: wrong).forget(bank, [4])
    memory.CellBudget(20, lambda frames, usage, room: torch.tensor([19])).forget(bank, [4])
    assert bank.cells == {"working": 0, "long-term": 1}
    assert policy.keep([0, 1, 2]) == [2]  # a frame is whole only as long as it is the newest


def test_a_budget_of_cells_is_told_their_use_per_read():
    told, bank = [], memory.MemoryBank()
    bank.write(0, torch.zeros(1, 1, 1, 2), torch.zeros(1, 1, 1, 1, 2))
    bank._working["usage"][0], bank._working["reads"][0] = torch.tensor([5.0, 0.9]), torch.tensor([10.0, 1.0])
    memory.CellBudget(3, lambda frames, usage, room: told.append(usage) or [0]).forget(bank, [1])
    assert torch.allclose(told[0], torch.tensor([0.5, 0.9]))


def test_a_shrinkage_without_a_selection_is_refused():
    bank, key = vl.MemoryBank("anisotropic"), torch.randn(1, 4, 2, 3)
    with pytest.raises(vl.InputError, match="belong together"):
        bank.write(0, key, torch.rand(1, 1, 2, 2, 3), shrinkage=torch.ones(1, 1, 2, 3))


def test_each_kind_of_similarity_by_hand():
    """One memory cell, one query cell, four channels."""
    key, query = torch.tensor([1.0, 2.0, 0.0, 2.0]), torch.tensor([2.0, 1.0, 1.0, 0.0])
    ask = lambda kind, **options: memory.similarity(key[None, :, None], query[None, :, None], kind, **options).item()
    assert ask("dot") == pytest.approx(4 / 2)  # k.q / sqrt(4)
    assert ask("cosine") == pytest.approx(4 / (3 * 6**0.5))
    assert ask("l2") == pytest.approx((2 * 4 - 9) / 2)  # without |q|^2, which is the same for all memory cells
    selection = torch.tensor([1.0, 0.5, 0.0, 1.0])
    reach = {"shrinkage": torch.tensor([[[3.0]]]), "selection": selection[None, :, None]}
    apart = (selection * (key - query).square()).sum().item()
    assert ask("anisotropic", **reach) == pytest.approx(-3 * apart / 2)


@pytest.mark.parametrize("kind", ["l2", "dot", "cosine"])
def test_a_bank_reads_with_its_own_kind_of_similarity(kind):
    torch.manual_seed(0)
    bank = memory.MemoryBank(kind)
    key, value, query = torch.randn(1, 8, 3, 4), torch.randn(1, 2, 5, 3, 4), torch.randn(1, 8, 3, 4)
    bank.write(0, key, value)
    plain = memory.read(key.flatten(2), query.flatten(2), value.flatten(3), kind=kind)
    assert torch.allclose(bank.read(query).flatten(3), plain, atol=1e-6)
    with pytest.raises(vl.InputError, match="no shrinkage to read with"):
        bank.read(query, torch.rand(1, 8, 3, 4))


def test_a_budget_below_one_frame_is_refused():
    bank = memory.MemoryBank()
    bank.write(0, torch.zeros(1, 1, 3, 4), torch.zeros(1, 1, 1, 3, 4))
    with pytest.raises(vl.InputError, match="cells=10 do not hold a frame, which has 12"):
        memory.CellBudget(10, lambda frames, usage, room: []).forget(bank, [1])
