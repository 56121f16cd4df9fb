"""What a training run does: a dataclass, read from a committed YAML file and saved beside the weights."""

import math
from dataclasses import MISSING, asdict, dataclass, field, fields, is_dataclass
from pathlib import Path
from typing import Any, get_args, get_origin, get_type_hints

from ..errors import InputError

CONFIGS = Path(__file__).with_name("configs")
FROM_0_UP = (
    *("lr", "weight_decay", "warmup", "clip_gradient", "references", "workers"),
    *("dice", "affinity", "temporal", "cross_view", "object_level"),
)


@dataclass
class Stage:
    """A stretch of the curriculum.

    data: source -> how often each of its clips counts per epoch (the sources: see `curriculum.SOURCES`).
    """

    data: dict[str, int]
    steps: int
    batch: int = 8  # samples per step, over all processes
    frames: int = 3  # of a sample: the first mask is given, each later frame is predicted and then remembered
    size: int = 128  # pixels, of the square crop
    objects: int = 2  # of a sample, at most
    jumps: dict[float, int] = field(default_factory=lambda: {0.0: 5})  # from this share of the stage on: largest frame gap
    colour: list[float] = field(default_factory=lambda: [0.1, 0.03, 0.03])  # jitter: brightness, contrast, saturation


@dataclass
class Config:
    """A training run; see the files in `configs`."""

    model: str  # a preset, see models.presets
    stages: list[Stage]
    init: str = "random"  # or imagenet, a model that ships, or a file of weights; an STCN's for an XMem too
    seed: int = 0
    # the step
    optimizer: str = "adamw"  # or adam, whose weight decay is part of the gradient
    lr: float = 1e-3
    weight_decay: float = 0.05
    warmup: int = 0  # steps over which the learning rate rises from 0
    schedule: str = "cosine"  # to 0 at the end; or drops: a tenth from each of lr_drops on
    lr_drops: list[int] = field(default_factory=list)
    clip_gradient: float = 0.0  # largest norm; 0: as it is
    freeze_norm: bool = False  # batch-norm statistics stay as they are, as in the published training
    ema: float = 0.0  # decay of the averaged weights, which are then what is saved; 0: none
    precision: str = "fp32"  # or bf16, fp16
    channels_last: bool = False
    accumulate: int = 1  # parts into which each process cuts its share of a batch
    references: int = 0  # how many earlier frames each frame reads, drawn at random; 0: all of them
    deep_updates: float = 0.2  # XMem: how often a frame's value updates the sensory memory
    # what is minimised
    hardest: float = 1.0  # bootstrapped cross-entropy: the share of the pixels, the hardest, that counts
    hardest_from: int = 20_000  # steps between which it falls from all of them to that share
    hardest_to: int = 70_000
    dice: float = 0.0  # weights of the other losses
    affinity: float = 0.0
    temporal: float = 0.0  # the paper's 0.2, and 0.04 for the next
    cross_view: float = 0.0
    object_level: float = 0.0
    discovered: bool = False  # object level: beside annotated objects, regions that are found without labels
    projection: bool = False  # the last three act on a second head beside the key's, dropped after training
    ramp: list[int] = field(default_factory=lambda: [0, 0])  # steps between which the last four losses gain their weight
    # data
    rendered: dict[str, int] = field(
        default_factory=dict
    )  # source -> how many of its clips are rendered, once, before training
    rendered_length: int = 12
    rendered_size: int = 192
    photographs: str = ""  # a folder of photographs for `collage`; empty: those that ship
    davis: str = ""  # folders of the data sets
    youtube_vos: str = ""
    static: str = ""
    leave_out: list[str] = field(default_factory=list)  # clips that are not trained on
    workers: int = 2
    # how it is watched
    log_every: int = 20  # steps
    checkpoint_every: int = 200
    validate_every: int = 1000  # 0: never
    validation_worlds: int = 4  # held-out world clips
    validation_clips: list[str] = field(default_factory=list)  # of davis

    @property
    def steps(self) -> int:
        """Of all stages."""
        return sum(stage.steps for stage in self.stages)

    def __post_init__(self):
        for name, choices in (
            ("optimizer", ("adam", "adamw")),
            ("schedule", ("cosine", "drops")),
            ("precision", ("fp32", "bf16", "fp16")),
        ):
            if getattr(self, name) not in choices:
                raise InputError(f"{name}={getattr(self, name)}: choose {', '.join(choices)}")
        for name in ("accumulate", "log_every", "checkpoint_every"):
            if getattr(self, name) < 1:
                raise InputError(f"{name}={getattr(self, name)} must be at least 1")
        most = {"ema": 1, "hardest": 1, "deep_updates": 1, "hardest_from": self.hardest_to}
        for name in (*most, *FROM_0_UP):
            if not 0 <= getattr(self, name) <= most.get(name, math.inf):
                raise InputError(f"{name}={getattr(self, name)} must lie in 0..{most.get(name, '')}")
        trained = {clip for stage in self.stages if "davis" in stage.data for clip in self.validation_clips} - set(
            self.leave_out
        )
        if trained:
            raise InputError(f"validation_clips are trained on: name {', '.join(sorted(trained))} in leave_out as well")
        if len(self.ramp) != 2 or not 0 <= self.ramp[0] <= self.ramp[1]:
            raise InputError(f"ramp={self.ramp} must be two steps, the second not before the first, as in [100, 300]")
        if not self.stages:
            raise InputError("stages is empty: a training needs at least one")
        for number, stage in enumerate(self.stages):
            if stage.frames < 2 or min(stage.steps, stage.batch, stage.objects, *stage.data.values(), 1) < 1 or not stage.data:
                raise InputError(f"stage {number}: needs data, at least 2 frames, and steps, batch and objects of at least 1")
            if stage.size < 16 or stage.size % 16:
                raise InputError(f"stage {number}: size={stage.size} must be a multiple of 16, the largest cell of a model")
            if len(stage.colour) != 3 or min(stage.colour) < 0:
                raise InputError(f"stage {number}: colour={stage.colour} must be three numbers of 0 or more")
            if list(stage.jumps)[:1] != [0] or sorted(stage.jumps) != list(stage.jumps) or min(stage.jumps.values()) < 1:
                raise InputError(f"stage {number}: jumps={stage.jumps} must begin at 0 and rise, as in {{0: 5, 0.5: 25}}")

    def save(self, path: Path) -> None:
        """As YAML, every value spelled out."""
        import yaml

        from ..atomic import whole_file

        with whole_file(path) as draft:
            draft.write_text(yaml.safe_dump(asdict(self), sort_keys=False), encoding="utf-8")


def load_config(name: str | Path, overrides: list[str] | None = None) -> Config:
    """The committed config of this name, or a YAML file, with overrides as `lr=1e-4` or `stages.0.steps=100`.

    Raises InputError for unknown names and values of the wrong type.
    """
    return typed(Config, *settings(name, CONFIGS, "config", overrides))


def settings(name: str | Path, folder: Path, what: str, overrides: list[str] | None) -> tuple[dict, str]:
    """What the YAML file of this name in `folder`, or at this path, says once the overrides are put in; and its path."""
    path = folder / f"{name}.yaml"
    if not path.is_file():
        path = Path(name)
    if not path.is_file():
        known = ", ".join(sorted(p.stem for p in folder.glob("*.yaml")))
        raise InputError(f"there is no {what} '{name}': choose {known}, or give a path to a YAML file")
    try:
        values = parsed(path.read_text(encoding="utf-8"), path)
    except UnicodeDecodeError:
        raise InputError(f"{path} is no text: give a YAML file") from None
    if not isinstance(values, dict):
        raise InputError(f"{path} must hold names with values, as in 'lr: 0.001'")
    for override in overrides or []:
        key, equals, text = override.partition("=")
        if not equals:
            raise InputError(f"'{override}' sets nothing: write key=value, for example lr=1e-4")
        put(values, key.split("."), parsed(text, override), override)
    return values, str(path)


def parsed(text: str, where: str | Path) -> Any:
    import yaml

    try:
        return yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise InputError(f"{where} cannot be read as YAML: {' '.join(str(error).split())}") from None


def put(values: Any, keys: list[str], value: Any, override: str) -> None:
    """Set values[key][key]... = value."""
    try:
        for key in keys[:-1]:
            values = values[int(key) if isinstance(values, list) else key]
        last = int(keys[-1]) if isinstance(values, list) else keys[-1]
        values[last] = value
    except (KeyError, ValueError, IndexError, TypeError):
        raise InputError(f"'{override}' names nothing in the config: stages have numbers, as in stages.0.steps=100") from None


def typed(kind: Any, value: Any, where: str) -> Any:
    """The value as `kind`: a dataclass, list or dict with types inside, or a plain type. Raises InputError where it is none."""
    if is_dataclass(kind):
        known = {f.name: f for f in fields(kind)}
        if not isinstance(value, dict):
            raise InputError(f"{where}: wanted names with values, got {value!r}")
        if unknown := [name for name in value if name not in known]:
            raise InputError(f"{where}: there is no '{unknown[0]}'; choose from {', '.join(known)}")
        for name, f in known.items():
            if name not in value and f.default is MISSING and f.default_factory is MISSING:
                raise InputError(f"{where}: '{name}' is missing")
        hints = get_type_hints(kind)
        return kind(**{name: typed(hints[name], x, f"{where}: {name}") for name, x in value.items()})
    if get_origin(kind) is list and isinstance(value, (list, tuple)):
        return [typed(get_args(kind)[0], x, f"{where}[{i}]") for i, x in enumerate(value)]
    if get_origin(kind) is dict and isinstance(value, dict):
        key_kind, value_kind = get_args(kind)
        return {typed(key_kind, key, where): typed(value_kind, x, f"{where}.{key}") for key, x in value.items()}
    if kind is float and isinstance(value, (int, float, str)) and not isinstance(value, bool):
        try:
            return float(value)  # YAML takes 1e-3 for a word
        except ValueError:
            pass
    if kind in (int, bool, str) and type(value) is kind:
        return value
    name = getattr(kind, "__name__", str(kind)) if get_origin(kind) is None else str(kind)
    raise InputError(f"{where}: wanted {name}, got {value!r}")
