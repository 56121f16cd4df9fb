"""Weights that ship: `python -m vos_lab.training.ship RUN NAME --scores TITLE scores.json ...` puts a finished run into
data/weights: the file, its SHA-256, its config and a model card whose numbers come from the run and from `vos-lab evaluate`.
"""

import argparse
import hashlib
import json
import shutil
from dataclasses import replace
from pathlib import Path

from ..atomic import whole_file
from ..errors import InputError
from ..models.load import SHIPPED_WEIGHTS
from .config import load_config

CARD = """# {name}

{about}

| | |
|---|---|
| network | `{model}`: {parameters:.2f} million parameters, {megabytes:.1f} MB as float16 |
| started from | {init} |
| trained on | {data} |
| left out | {left_out} |
| steps, samples | {steps}, {samples} |
| seed | {seed} |
| hardware, time | {hardware}, {hours:.2f} hours |
| versions | {versions} |
| config | [`{name}.yaml`]({name}.yaml), every value spelled out |
| licence | {licence} |

```
{command}
```

| J&F | J | F | measured on |
|---|---|---|---|
{scores}
"""


def ship(
    run: Path, name: str, about: str, command: str, licence: str, scores: list[tuple[str, Path]], before: Path | None = None
) -> Path:
    """Copy the weights and write the card. before: the run whose weights this one started from, where they do not ship.

    Raises InputError where a run is not finished.
    """
    weights, facts = finished(run)
    config, init = facts["config"], facts["config"]["init"]
    if before:
        first = finished(before)[1]
        init = f"{before.name}: {first['steps']} steps, {first['samples']} samples, {first['hours']:.2f} hours before these"
    sources = {source for stage in config["stages"] for source in stage["data"]}
    counts = [f"{config['rendered'][s]} clips of `{s}`" if s in config["rendered"] else f"`{s}`" for s in sorted(sources)]
    rows = []
    for title, path in scores:
        mean = json.loads(path.read_text())["mean"]
        rows.append(f"| {mean['J&F']:.3f} | {mean['J']['mean']:.3f} | {mean['F']['mean']:.3f} | {title} |")
    card = CARD.format(
        **{key: facts[key] for key in ("steps", "samples", "hardware", "hours")},
        name=name,
        about=about,
        model=config["model"],
        parameters=facts["parameters"] / 1e6,
        megabytes=weights.stat().st_size / 1e6,
        init=init,
        data=", ".join(counts),
        left_out=", ".join(config["leave_out"]) or "nothing",
        seed=config["seed"],
        versions=", ".join(f"{key} {value}" for key, value in facts["versions"].items()),
        licence=licence,
        command=command,
        scores="\n".join(rows),
    )
    out = SHIPPED_WEIGHTS / f"{name}.safetensors"
    with whole_file(out) as draft:
        shutil.copyfile(weights, draft)
    here = dict.fromkeys(("davis", "youtube_vos", "static", "photographs"), "")  # folders of this machine
    if before:
        here["init"] = f"runs/{before.name}/{weights.name}"
    replace(load_config(run / "config.yaml"), **here).save(SHIPPED_WEIGHTS / f"{name}.yaml")
    with whole_file(SHIPPED_WEIGHTS / f"{name}.md") as draft:
        draft.write_text(card, encoding="utf-8")
    with whole_file(SHIPPED_WEIGHTS / "SHA256SUMS") as draft:
        files = sorted(SHIPPED_WEIGHTS.glob("*.safetensors"))
        draft.write_text("".join(f"{hashlib.sha256(p.read_bytes()).hexdigest()}  {p.name}\n" for p in files))
    return out


def finished(run: Path) -> tuple[Path, dict]:
    """The weights of a run and the facts about it."""
    config = run / "config.yaml"
    facts = run / f"{load_config(config).model}.json" if config.exists() else config
    if not facts.with_suffix(".json").exists():
        raise InputError(f"{run} holds no finished run: its NAME.json is written at the end of training")
    return facts.with_suffix(".safetensors"), json.loads(facts.read_text())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", type=Path)
    parser.add_argument("name")
    parser.add_argument("--about", required=True)
    parser.add_argument("--command", required=True)
    parser.add_argument("--licence", required=True)
    parser.add_argument("--scores", nargs=2, action="append", default=[], metavar=("TITLE", "FILE"))
    parser.add_argument("--before", type=Path, help="the run that this one started from")
    args = parser.parse_args()
    scores = [(title, Path(path)) for title, path in args.scores]
    print(ship(args.run, args.name, args.about, args.command, args.licence, scores, args.before))


if __name__ == "__main__":
    main()
