"""LongTerm: memory that does not grow, whatever the model."""

import pytest
import torch

from vos_lab import InputError, LongTerm, MemoryBank, memory


def schedule(policy, count):
    """The frames in working memory after each of `count` frames."""
    frames, seen = [], []
    for t in range(count):
        frames = policy.keep([*frames, t])
        seen.append(list(frames))
    return seen


def test_working_memory_fills_and_is_cut_to_the_first_and_the_last():
    seen = schedule(LongTerm(every=5, min_working=5, max_working=10), 200)
    assert seen[4] == [0] and seen[5] == [0, 5] and seen[44] == list(range(0, 45, 5))
    assert seen[45] == [0, 30, 35, 40, 45]  # the tenth frame: the first and the last four stay
    assert max(map(len, seen)) == 9 and all(frames[0] == 0 for frames in seen)


def bank_of(frames=4, h=3, w=4, c=8):
    torch.manual_seed(0)
    bank = MemoryBank()
    for t in range(frames):
        bank.write(t, torch.randn(1, c, h, w), torch.randn(1, 2, 5, h, w))
    return bank


def test_usage_is_the_affinity_that_all_reads_gave():
    bank = bank_of()
    queries = [torch.randn(1, 8, 3, 4) for _ in range(3)]
    for query in queries:
        bank.read(query, top_k=6)
    weights = sum(memory.affinity(memory.similarity(bank.keys, q.flatten(2)), 6).sum(2) for q in queries)[0]
    assert torch.allclose(bank.content("usage"), weights, atol=1e-5)
    assert torch.allclose(bank.content("usage").sum(), torch.tensor(3 * 12.0))
    assert torch.allclose(bank.content("reads"), torch.tensor(3.0))
    full = bank_of()
    full.read(queries[0])
    assert torch.allclose(full.content("usage").sum(), torch.tensor(12.0), atol=1e-4)


def test_what_reading_changed_can_be_taken_down_and_resumed():
    bank, fresh = bank_of(), bank_of()
    query = torch.randn(1, 8, 3, 4)
    bank.read(query, top_k=6)
    bank.consolidate([1], 3)
    bank.keep([0, 2, 3])
    fresh.keep([0, 2, 3])
    noted = bank.counts()
    bank.read(query)  # what is noted are copies
    assert noted[0]["usage"].shape == (3, 12) and noted[1]["key"].shape == (3, 8)
    fresh.resume(*noted)
    fresh.read(query)
    for name in ("key", "value", "usage", "reads", "origin"):
        assert torch.equal(fresh.content(name), bank.content(name)), name
    assert MemoryBank().counts() == ({}, {})


def test_consolidation_keeps_the_cells_used_most_with_the_values_of_what_is_like_them():
    bank = bank_of()
    keys = bank.keys.clone()  # (1,8,48)
    sharp = keys[0, :, 12:24].T.unflatten(0, (3, 4)).movedim(2, 0)[None]  # ask for frame 1, cell by cell
    bank.read(sharp, temperature=0.001)
    values = bank.values.clone()
    bank.consolidate([1, 2], prototypes=12)
    bank.keep([0, 3])
    assert bank.frames == [0, 3] and bank.cells == {"working": 24, "long-term": 12}
    found = {tuple(key.tolist()) for key in bank.keys[0, :, :12].T}
    assert found == {tuple(key.tolist()) for key in keys[0, :, 12:24].T}  # frame 1 was used, frame 2 was not
    expected = memory.read(keys[:, :, 12:36], bank.keys[:, :, :12], values[..., 12:36])
    assert torch.allclose(bank.values[..., :12], expected, atol=1e-5)
    assert not bank.content("usage")[:12].any()


def test_eviction_takes_the_least_used_and_those_that_tie():
    bank = bank_of()
    bank.consolidate([1, 2], prototypes=10)
    bank._long["usage"] = torch.tensor([5.0, 1, 1, 1, 4, 3, 2, 6, 7, 8])
    bank._long["reads"] = torch.ones(10)
    bank.evict(10)
    assert bank.long_term == 10
    bank.evict(9)  # one has to go, and two more are used as little
    assert bank.long_term == 7 and bank._long["usage"].min() == 2


def test_what_counts_is_use_per_read():
    """A cell that was read often has been used more in sum than one that came late, and each time less."""
    bank = bank_of()
    usage, reads = torch.full((4, 12), 0.1), torch.ones(4, 12)
    usage[1, 3], reads[1, 3] = 5.0, 10  # 0.5 per read
    usage[2, 7], reads[2, 7] = 0.9, 1
    bank._working["usage"][:4], bank._working["reads"][:4] = usage, reads
    late = bank.content("key")[2 * 12 + 7]
    bank.consolidate([1, 2], prototypes=1)
    assert torch.equal(bank._long["key"][0], late)
    bank._long = {name: torch.cat([x, x]) for name, x in bank._long.items()}
    bank._long["usage"], bank._long["reads"] = torch.tensor([5.0, 0.9]), torch.tensor([10.0, 1])
    bank.evict(1)
    assert bank._long["usage"].tolist() == [pytest.approx(0.9)]


def test_where_keys_have_a_reach_shrinkages_are_mixed_as_values_are():
    torch.manual_seed(0)
    bank = MemoryBank("anisotropic")
    for t in range(3):
        reach = 1 + torch.rand(1, 1, 3, 4), torch.rand(1, 8, 3, 4)
        bank.write(t, torch.randn(1, 8, 3, 4), torch.randn(1, 2, 5, 3, 4), *reach)
    bank._working["usage"][1] = torch.arange(12.0)
    keys, values, reaches = bank.keys[..., :24].clone(), bank.values[..., :24].clone(), bank.content("shrinkage")[:24].clone()
    selections = bank.content("selection")[:24].clone()
    bank.consolidate([0, 1], prototypes=3)
    chosen = [23, 22, 21]
    alike = memory.similarity(
        keys, keys[..., chosen], "anisotropic", shrinkage=reaches[None, None], selection=selections[chosen].T[None]
    )
    weights = memory.affinity(alike)[0]  # (24,3)
    assert torch.equal(bank._long["key"], keys[0, :, chosen].T) and torch.equal(bank._long["selection"], selections[chosen])
    assert torch.allclose(bank._long["shrinkage"], reaches @ weights, atol=1e-5)
    assert torch.allclose(bank._long["value"], (values[0] @ weights).movedim(2, 0), atol=1e-5)
    assert set(bank._long) == {"key", "value", "origin", "usage", "reads", "shrinkage", "selection"}


def test_it_stays_bounded():
    policy, bank = LongTerm(every=1, min_working=2, max_working=4, prototypes=5, max_long_term=20), MemoryBank()
    torch.manual_seed(0)
    cells = []
    for t in range(60):
        frames = policy.keep([*bank.frames, t])
        policy.forget(bank, frames)
        bank.write(t, torch.randn(1, 8, 3, 4), torch.randn(1, 1, 5, 3, 4))
        bank.read(torch.randn(1, 8, 3, 4), top_k=4)
        cells.append(list(bank.cells.values()))
    working, long_term = zip(*cells)
    assert max(working) == 36 and max(long_term) <= 20 and min(long_term[30:]) > 10


@pytest.mark.parametrize(
    "make, words",
    [
        (lambda: LongTerm(min_working=1), "wanted 2 or more"),
        (lambda: LongTerm(min_working=10, max_working=10), "fewer than max_working"),
        (lambda: LongTerm(prototypes=0), "remembers nothing"),
        (lambda: LongTerm(every=0), "remembers nothing"),
        (lambda: LongTerm(max_long_term=5), "must hold at least prototypes=128"),
    ],
)
def test_a_policy_that_cannot_work_is_refused(make, words):
    with pytest.raises(InputError, match=words):
        make()
    LongTerm(every=1, min_working=2, max_working=3, prototypes=1, max_long_term=1)  # the smallest that can


def test_a_bank_of_keys_with_reach_reads_as_the_function_does_and_counts_in_all_of_memory():
    torch.manual_seed(0)
    bank = MemoryBank("anisotropic")
    for t in range(2):
        bank.write(t, torch.randn(1, 8, 3, 4), torch.randn(1, 2, 5, 3, 4), 1 + torch.rand(1, 1, 3, 4), torch.rand(1, 8, 3, 4))
    bank.consolidate([0], prototypes=6)
    bank.keep([1])
    reach = bank.content("shrinkage")[None, None].clone()
    total = torch.zeros(18)
    for _ in range(2):
        query, selection = torch.randn(1, 8, 3, 4), torch.rand(1, 8, 3, 4)
        found = bank.read(query, selection, kind="anisotropic", top_k=5)
        options = dict(shrinkage=reach, selection=selection.flatten(2))
        weights = memory.affinity(memory.similarity(bank.keys, query.flatten(2), "anisotropic", **options), top_k=5)[0]
        assert torch.allclose(found.flatten(3), bank.values @ weights, atol=1e-5)
        total += weights.sum(1)
    assert torch.allclose(bank.content("usage"), total, atol=1e-4)
    assert torch.allclose(bank.content("reads"), torch.tensor(2.0))
