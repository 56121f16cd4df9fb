"""What `make mutants` found: per module how many mutants the tests killed, and the diff of each that lives."""

import json
import subprocess
import sys
from collections import Counter
from pathlib import Path

from mutmut.stats import status_by_exit_code

WANTED = 0.85
FOUND = Path("mutants")


def main() -> int:
    """Prints the table; 1 where fewer than WANTED are killed. A mutant that runs too long counts apart: it may be load."""
    total: Counter[str] = Counter()
    alive = []
    print("| module | mutants | killed | too slow | alive |\n|---|---|---|---|---|")
    for path in sorted(FOUND.rglob("*.meta")):
        codes = json.loads(path.read_text())["exit_code_by_key"]
        if not codes:
            continue
        found = Counter({"no tests": "survived"}.get(status, status) for status in map(status_by_exit_code.get, codes.values()))
        total += found
        alive += [name for name, code in codes.items() if status_by_exit_code[code] in ("survived", "no tests")]
        print(f"| `{path.relative_to(FOUND).with_suffix('')}` | {sum(found.values())} | {row(found)} |")
    print(f"| all | {sum(total.values())} | {row(total)} |")
    for name in alive:
        shown = subprocess.run([sys.executable, "-m", "mutmut", "show", name], capture_output=True, text=True).stdout
        changed = [line for line in shown.splitlines() if line[:1] in ("+", "-") and line[:3] not in ("+++", "---")]
        print(f"\n{name}", *changed, sep="\n  ")
    return int(total["killed"] < WANTED * sum(total.values()))


def row(found: Counter[str]) -> str:
    killed, slow, alive = (found[status] for status in ("killed", "timeout", "survived"))
    return f"{killed} ({killed / sum(found.values()):.0%}) | {slow} | {alive}"


if __name__ == "__main__":
    sys.exit(main())
