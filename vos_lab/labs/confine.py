"""What a process may do that runs a student's code. Linux has all of it, other systems only some of the limits.

Everything here needs no privileges. What a kernel does not offer is left out; `report` says what holds on this machine. The
recipe with a container (notebooks/labs/README.md) holds everywhere.
"""

import ctypes
import os
import resource
import signal
import struct
import sys
from collections.abc import Iterator
from pathlib import Path

MEMORY = 2 * 2**30  # bytes, beyond what the libraries take
FILE = 16 * 2**20  # bytes of one file
PROCESSES = 64  # (root is not held to it)
NEW_USER, NEW_PID, NEW_NET = 0x10000000, 0x20000000, 0x40000000
DIE_WITH_PARENT, NO_NEW_PRIVILEGES = 1, 38  # of prctl
CREATE_RULESET, ADD_RULE, RESTRICT_SELF = 444, 445, 446  # Landlock's system calls
EXECUTE, WRITE_FILE, READ_FILE, READ_FOLDER = 1, 2, 4, 8
RIGHTS_ON_FILES = [0, 13, 14, 15, 15, 16]  # how many rights on files each version of Landlock knows


def libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


def isolate() -> bool:
    """Leave the network and the other processes behind, where this system lets an ordinary user have namespaces.

    The caller stays outside, to wait; the rest of the program runs in a process that dies with it, and with it all that it
    started. Returns whether that was possible.
    """
    if sys.platform != "linux":
        return False
    libc().prctl(DIE_WITH_PARENT, signal.SIGKILL)
    if libc().unshare(NEW_USER | NEW_NET | NEW_PID):
        return False
    inner = os.fork()
    if inner:
        os.waitpid(inner, 0)
        os._exit(0)
    libc().prctl(DIE_WITH_PARENT, signal.SIGKILL)
    return True


def limit(isolated: bool) -> None:
    """Memory, size of files, no core dumps; and the number of processes, where they are counted apart."""
    soft_hard = lambda most: (most, most)
    resource.setrlimit(resource.RLIMIT_CORE, soft_hard(0))
    resource.setrlimit(resource.RLIMIT_FSIZE, soft_hard(FILE))
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)  # an error in place of the end
    if sys.platform == "linux":
        pages = int(Path("/proc/self/statm").read_text().split()[0])
        resource.setrlimit(resource.RLIMIT_AS, soft_hard(pages * resource.getpagesize() + MEMORY))
    if isolated:
        resource.setrlimit(resource.RLIMIT_NPROC, soft_hard(PROCESSES))


def landlock_version() -> int:
    return max(0, libc().syscall(CREATE_RULESET, None, 0, 1)) if sys.platform == "linux" else 0


def lock(folder: Path, readable: list[Path]) -> bool:
    """From here on write only in `folder`, read only there and in `readable`, and open no connection.

    Landlock, in Linux since 5.13 (no connections since 6.7; no signals to other processes since 6.12). Returns whether this
    kernel has it.
    """
    version = landlock_version()
    if not version:
        return False
    everything = (1 << RIGHTS_ON_FILES[min(version, 5)]) - 1
    attributes = struct.pack("QQQ", everything, 3 if version >= 4 else 0, 3 if version >= 6 else 0)
    known = 8 if version < 4 else 16 if version < 6 else 24
    rules = libc().syscall(CREATE_RULESET, attributes, known, 0)
    on_file = EXECUTE | WRITE_FILE | READ_FILE | (everything & 1 << 14)
    read = EXECUTE | READ_FILE | READ_FOLDER
    write = {folder: everything, Path("/dev/null"): everything, Path("/dev/zero"): read, Path("/dev/urandom"): read}
    for path, rights in [*((path, read) for path in readable), *write.items()]:
        if path.exists():
            place = os.open(path, os.O_PATH)
            rule = struct.pack("=Qi", rights if path.is_dir() else rights & on_file, place)
            libc().syscall(ADD_RULE, rules, 1, rule, 0)
            os.close(place)
    libc().prctl(NO_NEW_PRIVILEGES, 1, 0, 0, 0)
    locked = libc().syscall(RESTRICT_SELF, rules, 0) == 0
    os.close(rules)
    return locked


def without(root: Path, hidden: Path) -> Iterator[Path]:
    """The paths that together are `root` without `hidden`."""
    if root == hidden:
        return
    if root not in hidden.parents:
        yield root
        return
    for path in root.iterdir():
        if not path.is_symlink():  # it might lead to what is hidden
            yield from without(path, hidden)


def report() -> str:
    """What holds on this machine, in words."""
    trial = os.fork()
    if not trial:
        os._exit(sys.platform != "linux" or libc().unshare(NEW_USER | NEW_NET | NEW_PID) != 0)
    apart = os.waitpid(trial, 0)[1] == 0
    files = "files confined" if landlock_version() else "files NOT confined: use the container"
    rest = "network and processes apart" if apart else "network and processes NOT apart: use the container"
    return f"{files}, {rest}"
