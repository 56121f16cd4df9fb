import os

import pytest

from vos_lab.atomic import whole_file, whole_folder


@pytest.mark.parametrize("old", [None, "old"])
def test_a_file_appears_whole_or_not_at_all(tmp_path, old):
    path = tmp_path / "deep" / "x.txt"
    if old:
        path.parent.mkdir()
        path.write_text(old)
    with pytest.raises(RuntimeError), whole_file(path) as draft:
        draft.write_text("half")
        raise RuntimeError
    assert (path.read_text() if old else not path.exists()) in (old, True)
    with whole_file(path) as draft:
        draft.write_text("new")
    assert path.read_text() == "new" and list(path.parent.iterdir()) == [path]


def test_old_content_survives_when_the_new_cannot_take_its_place(tmp_path, monkeypatch):
    path, replace = tmp_path / "x", os.replace
    path.mkdir()
    (path / "old").touch()

    def full(source, target):
        if str(source).endswith(".part"):
            raise OSError(28, "No space left on device")
        replace(source, target)

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(OSError), whole_folder(path) as draft:
        (draft / "new").touch()
    assert [p.name for p in tmp_path.rglob("*")] == ["x", "old"]


@pytest.mark.parametrize("old", [False, True])
def test_a_folder_appears_whole_or_not_at_all(tmp_path, old):
    path = tmp_path / "x"
    if old:
        path.mkdir()
        (path / "old").touch()
    with pytest.raises(RuntimeError), whole_folder(path) as draft:
        (draft / "half").touch()
        raise RuntimeError
    assert [p.name for p in tmp_path.rglob("*")] == (["x", "old"] if old else [])
    with whole_folder(path) as draft:
        (draft / "new").touch()
    assert [p.name for p in path.iterdir()] == ["new"] and list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("write", [whole_file, whole_folder])
def test_drafts_of_killed_processes_go_after_a_day(tmp_path, write):
    path = tmp_path / "x.txt"
    old, young, other = (tmp_path / name for name in (".x.1.part.txt", ".x.2.part.txt", ".notes.part.txt"))
    if write is whole_folder:
        old, young, other = (tmp_path / name for name in (".x.txt.1.part", ".x.txt.2.part", ".notes.part"))
    for draft in (old, young, other):
        draft.mkdir() if write is whole_folder else draft.touch()
    for draft in (old, other):  # the other is somebody else's
        os.utime(draft, (0, 0))
    with write(path) as draft:
        draft.mkdir(exist_ok=True) if write is whole_folder else draft.touch()
    assert sorted(tmp_path.iterdir()) == sorted([path, young, other])
