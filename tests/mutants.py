"""What `make mutants` found: per module how many mutants the tests killed; then the living, each by reason."""

import json
import re
import sys
from collections import Counter, defaultdict
from pathlib import Path

from mutmut.mutation.diff_apply import get_diff_for_mutant
from mutmut.stats import status_by_exit_code

WANTED = 0.85
FOUND = Path("mutants")
REASONS = {  # why no test can tell, or none should: what the changed lines look like
    "a device: a test on a CPU cannot tell": r"device=None|\.to\(None\)|-.*device=.*\n\+(?!.*device=.*device=|[^,]*device=)",
    "the same einsum in capitals": r'\+.*einsum\("[A-Z]',
    "a default value, which tests should not repeat": r"^-(def .*=|    \w+: .* = )",
    "the default of the function that is called": (
        r"normalize\(.*, \)|normalize\([^=]*, eps|reduce\(.*, \)|indexing=None|meshgrid\(.*, \)"
        r"|align_corners=None|(affine_grid|grid_sample|topk)\(.*, \)"
    ),
    "a dtype that is the default as well": r"dtype=None|-.*dtype=.*\n\+(?!.*dtype=)|astype\(None\)",
    "speed alone": r"sorted=|AT_ONCE|hasattr|copy=|uint64, \)|width // 64|max\(1, 2 \* slot|TILE // max|if temperature == 1",
    "a setting chosen by eye": r"felzenszwalb\(",
    "a limit that no number meets exactly": r"-.*[^=<>-][<>]=? .*\n\+.*[^=<>-][<>]=? ",
    "a guard against dividing by 0, or against rounding above 1": (
        r"clamp\(m(in|ax)=|np\.maximum\(|eps=|precision \+ recall == 0"
    ),
    "what is empty or nan either way": r"or True|slice\(|initial=|nan_to_num",
    "the same in another way: pairs count in both directions, numbers still differ": (
        r"keepdim=|logsumexp\(1, \)|arange\(k.* - k \* |\+    for i in range\(t\)|reshape\(-2|\[0, 1\]\.numel|\+.* = None$"
        r"|new_zeros\(1, 1"
    ),
    "the pixel beside lies in the same cell": r"limits",
    "what is called checks the same": r"check_keys\(",
}


def main() -> int:
    """Prints the report; 1 where fewer than WANTED are killed. A mutant that runs too long counts apart: it may be load."""
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
    by_reason = defaultdict(list)
    for name in alive:
        lines = get_diff_for_mutant(name).splitlines()
        diff = "\n".join(line for line in lines if line[:1] in ("+", "-") and line[:3] not in ("+++", "---"))
        reason = next((why for why, looks in REASONS.items() if re.search(looks, diff, re.MULTILINE)), "not looked into")
        by_reason[reason].append((name, diff))
    for reason in [*REASONS, "not looked into"]:
        print(f"\n## {reason}: {len(by_reason[reason])}")
        for name, diff in by_reason[reason]:
            print(f"\n{name}\n{diff}")
    return int(total["killed"] < WANTED * sum(total.values()))


def row(found: Counter[str]) -> str:
    killed, slow, alive = (found[status] for status in ("killed", "timeout", "survived"))
    return f"{killed} ({killed / sum(found.values()):.0%}) | {slow} | {alive}"


if __name__ == "__main__":
    sys.exit(main())
