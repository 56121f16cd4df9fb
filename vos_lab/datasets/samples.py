"""The sample clips that ship: `python -m vos_lab.datasets.samples` writes data/samples and its part of data/README.md.

`--check` writes nothing: it compares the files with the README and the masks with what the worlds render, and fails where they
differ. Photographs for textures come from scikit-image once, by `--photographs`; they lie beside this module.
"""

import argparse
import hashlib
import json
import sys
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from ..atomic import whole_file
from ..clip import Clip
from ..errors import InputError
from ..shipped import DATA
from .textures import PHOTOGRAPHS
from .world import World

LENGTH, SIZE, QUALITY = 24, (240, 432), 85
BEGIN, END = "<!-- samples: written by python -m vos_lab.datasets.samples -->", "<!-- end of samples -->"


@dataclass
class Theme:
    """A sample clip: its world, how many objects, and what it is for."""

    world: World
    objects: int
    about: str


THEMES = {
    "walk": Theme(
        World(1, similarity=0.0, distractors=0, clutter=0.2, speed=0.01, occlusion=0.0, leaving=0.0, camera=0.2, lighting=0.1,
              shapes=("walker", "beast")),
        2,
        "two bodies with swinging limbs; easy enough for colours alone",
    ),
    "look-alike": Theme(
        World(4, similarity=0.2, distractors=4, clutter=0.3, speed=0.025, occlusion=0.0, leaving=0.0),
        2,
        "each object has two doubles that are not in the masks",
    ),
    "occlusion": Theme(World(4, similarity=0.2, distractors=0, occlusion=1.0, leaving=0.0), 2, "something passes in front"),
    "late": Theme(
        World(1, similarity=0.2, distractors=0, clutter=0.3, occlusion=0.0, leaving=0.4, late=1.0),
        3,
        "objects that appear later, and one that leaves and returns",
    ),
    "photo": Theme(World(9, textures=("photo",)), 3, "everything is made of crops of photographs; default knobs"),
}  # fmt: skip

PUBLIC_DOMAIN, CC0 = "public domain", "CC0 1.0"
PHOTOGRAPH_SOURCES = {      # as stated in scikit-image's skimage.data
    "astronaut": ("Eileen Collins, NASA Great Images, https://flic.kr/p/r9qvLn", PUBLIC_DOMAIN),
    "brick": ("https://cc0textures.com/view.php?tex=Bricks25", CC0),
    "chelsea": ("the cat Chelsea, by Stefan van der Walt", CC0),
    "coffee": ("Pikolo Espresso Bar, by Rachel Michetti", CC0),
    "grass": ("https://www.deviantart.com/linolafett/art/Grass-01-434853879", CC0),
    "gravel": ("https://cc0textures.com/view.php?tex=Gravel04", CC0),
    "hubble_deep_field": ("NASA, http://hubblesite.org/newscenter/archive/releases/2012/37/image/a/", PUBLIC_DOMAIN),
    "rocket": ("DSCOVR on Falcon 9, SpaceX, https://www.flickr.com/photos/spacexphotos/16511594820", PUBLIC_DOMAIN),
}


def load(name: str = "walk", root: str | Path = DATA / "samples") -> Clip:
    """A sample clip as it was saved, with its exact truth, which is rendered again from seed and knobs.

    Raises InputError for an unknown name, and where this machine renders other masks than those that were saved.
    """
    root = Path(root)
    recipe = root / "Truth" / f"{name}.json"
    if not recipe.is_file():
        there = ", ".join(sorted(path.stem for path in root.glob("Truth/*.json"))) or "none"
        raise InputError(f"{root} holds no sample '{name}' (there: {there}): `python -m vos_lab.datasets.samples` writes them")
    clip = Clip.load(root / "JPEGImages" / "480p" / name)
    clip.truth = rendered_again(json.loads(recipe.read_text())).truth
    differing = (np.array(clip.truth.ids, dtype=np.uint8)[clip.truth.layers] != clip.masks).mean()
    if differing > 1e-3:        # another machine may round a few pixels at the outlines the other way
        raise InputError(
            f"sample '{name}' renders differently here ({differing:.1%} of its mask pixels): "
            "the world has changed since; write the samples again with `python -m vos_lab.datasets.samples`"
        )
    return clip


def recipe_of(theme: Theme) -> str:
    """All that it takes to render a theme's clip again, defaults included: they may change one day."""
    recipe = {"world": asdict(theme.world), "length": LENGTH, "size": SIZE, "objects": theme.objects}
    return json.dumps(recipe, indent=1) + "\n"


def rendered_again(recipe: dict) -> Clip:
    """The clip of a recipe, without what moves no mask: light, blur and noise."""
    knobs: dict[str, Any] = {name: tuple(x) if isinstance(x, list) else x for name, x in recipe["world"].items()}
    return replace(World(**knobs), lighting=0, blur=0, noise=0).clip(recipe["length"], tuple(recipe["size"]), recipe["objects"])


def write(root: Path) -> None:
    """Render every theme into a DAVIS-style tree, with a recipe of its truth."""
    for name, theme in THEMES.items():
        clip = theme.world.clip(LENGTH, SIZE, theme.objects, name=name)
        clip.save(root, quality=QUALITY)
        write_text(root / "Truth" / f"{name}.json", recipe_of(theme))
    write_text(root / "ImageSets" / "2017" / "val.txt", "".join(f"{name}\n" for name in THEMES))


def section(root: Path) -> str:
    """What data/README.md says about the samples and photographs that are there now."""
    lines = [
        BEGIN,
        "## Sample clips (`samples/`)",
        "",
        f"{LENGTH} frames of {SIZE[0]}x{SIZE[1]} in DAVIS layout, rendered by `python -m vos_lab.datasets.samples` from the",
        "seeds and knobs in that module, repeated in `samples/Truth/NAME.json`: `vos_lab.datasets.samples.load(name)` renders",
        "the exact correspondence again. Source: vos_lab itself; licence: MIT, as the rest of it. Some textures are crops of",
        "the photographs below. SHA-256: of the clip's frames, masks and recipe, in the order of their paths.",
        "",
        "| clip | what it shows | seed | objects | MB | SHA-256 |",
        "|---|---|---|---|---|---|",
    ]
    for name, theme in THEMES.items():
        files = clip_files(root, name)
        size = sum(path.stat().st_size for path in files) / 1e6
        lines.append(f"| {name} | {theme.about} | {theme.world.seed} | {theme.objects} | {size:.1f} | `{digest(files)}` |")
    lines += [
        "",
        "## Photographs (`../vos_lab/datasets/photographs/`)",
        "",
        "Taken from the data of scikit-image, whose notes state source and licence, and made smaller (384 pixels at most) by",
        "`python -m vos_lab.datasets.samples --photographs`.",
        "",
        "| photograph | source | licence | SHA-256 |",
        "|---|---|---|---|",
    ]
    for name, (source, licence) in PHOTOGRAPH_SOURCES.items():
        lines.append(f"| {name} | {source} | {licence} | `{digest([PHOTOGRAPHS / f'{name}.jpg'])}` |")
    return "\n".join([*lines, END])


def clip_files(root: Path, name: str) -> list[Path]:
    """All files of one sample."""
    folders = (root / "JPEGImages" / "480p" / name, root / "Annotations" / "480p" / name)
    files = [path for folder in folders for path in sorted(folder.glob("[!.]*"))] + [root / "Truth" / f"{name}.json"]
    if len(files) != 2 * LENGTH + 1 or not files[-1].is_file():
        raise InputError(f"sample '{name}' in {root} is incomplete: write it with `python -m vos_lab.datasets.samples`")
    return files


def digest(files: list[Path]) -> str:
    """SHA-256 of the files' bytes one after another."""
    total = hashlib.sha256()
    for path in files:
        total.update(path.read_bytes())
    return total.hexdigest()


def with_section(readme: str, new: str) -> str:
    """The README with its part about the samples replaced, or added at the end."""
    if BEGIN not in readme:
        return f"{readme.rstrip()}\n\n{new}\n" if readme.strip() else f"# What ships here\n\n{new}\n"
    before, rest = readme.split(BEGIN, 1)
    return before + new + rest.split(END, 1)[1]


def problems(data: Path = DATA) -> list[str]:
    """What is wrong with the samples that are there: one sentence each; none where README, files and worlds agree."""
    found = []
    try:
        readme = (data / "README.md").read_text() if (data / "README.md").is_file() else ""
        if section(data / "samples") not in readme:
            found.append(f"{data / 'README.md'} does not describe the samples as they are")
        for name, theme in THEMES.items():
            if (data / "samples" / "Truth" / f"{name}.json").read_text() != recipe_of(theme):
                found.append(f"sample '{name}' was rendered with other knobs than those in THEMES")
            load(name, data / "samples")
    except InputError as error:
        found.append(str(error))
    return found


def write_text(path: Path, text: str) -> None:
    with whole_file(path) as draft:
        draft.write_text(text)


def write_photographs() -> None:
    """Make the photographs smaller copies of those in the installed scikit-image."""
    from importlib.util import find_spec

    found = find_spec("skimage")
    if found is None or not found.submodule_search_locations:
        raise InputError("scikit-image is not installed: `pip install scikit-image` brings the photographs")
    folder = Path(found.submodule_search_locations[0], "data")
    for name in PHOTOGRAPH_SOURCES:
        (source,) = folder.glob(f"{name}.*")
        with Image.open(source) as image:
            image.thumbnail((384, 384), Image.Resampling.LANCZOS)
            with whole_file(PHOTOGRAPHS / f"{name}.jpg") as draft:
                image.save(draft, quality=90)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=DATA, help="the folder that holds README.md and samples/")
    parser.add_argument("--check", action="store_true", help="write nothing, say what does not agree")
    parser.add_argument("--photographs", action="store_true", help="write the photographs first")
    options = parser.parse_args()
    if not options.check:
        if options.photographs:
            write_photographs()
        write(options.data / "samples")
        readme = options.data / "README.md"
        write_text(readme, with_section(readme.read_text() if readme.is_file() else "", section(options.data / "samples")))
    wrong = problems(options.data)
    print("\n".join(wrong) or f"{len(THEMES)} samples in {options.data / 'samples'} agree with README.md and their worlds")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
