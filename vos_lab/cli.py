"""The command line: vos-lab segment, track, evaluate, train, experiment, bench, download."""

import argparse
import csv
import json
import sys
from dataclasses import replace
from pathlib import Path

from .errors import InputError


def main(arguments: list[str] | None = None) -> int:
    """Run one command. Returns 0, or 2 after one sentence on stderr where the input is at fault."""
    args = parse(arguments)
    try:
        args.run(args)
    except InputError as error:
        print(f"vos-lab {args.command}: {error}", file=sys.stderr)
        return 2
    except OSError as error:  # a full disk, a folder that may not be written
        where = f"{error.filename}: " if error.filename else ""
        print(f"vos-lab {args.command}: {where}{error.strerror or error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print(f"vos-lab {args.command}: interrupted; nothing was half-written", file=sys.stderr)
        return 130
    return 0


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    """The command and its options; .run(args) does it. Leaves with 2 where they make no sense."""
    parser = argparse.ArgumentParser(
        prog="vos-lab", description="Matching-based video object segmentation, to learn and to teach."
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for add in (add_segment, add_track, add_evaluate, add_train, add_experiment, add_bench, add_download):
        add(commands)
    args, rest = parser.parse_known_args(arguments)
    settings = [word for word in rest if "=" in word and not word.startswith("-")]
    if rest and (not hasattr(args, "overrides") or rest != settings):
        parser.error(f"unrecognized arguments: {' '.join(rest)}")
    if hasattr(args, "overrides"):
        args.overrides += settings  # argparse takes no key=value after an option
    return args


def add_segment(commands) -> None:
    parser = commands.add_parser(
        "segment",
        help="follow objects through one video, given their masks in its first frame",
        description="Writes OUT/NAME/00000.png ... (index masks, as DAVIS stores them), overlay.mp4 and report.html.",
    )
    parser.add_argument(
        "input", type=Path, help="a video file, a folder of frames, or ROOT/JPEGImages/480p/NAME of a DAVIS-style tree"
    )
    parser.add_argument(
        "--mask", type=Path, help="PNG of object ids for the first frame; not needed where the tree has annotations"
    )
    parser.add_argument("--out", type=Path, required=True, help="folder for the results")
    parser.add_argument(
        "--truth", type=Path, help="folder of true masks, to score against; in a DAVIS-style tree they are found"
    )
    add_model(parser)
    parser.add_argument("--device", help="cpu, cuda, mps ...; the GPU where there is one, unless given")
    parser.add_argument("--short-side", type=int, help="resize so that the shorter side has this many pixels")
    parser.add_argument("--every", type=int, default=1, help="take every n-th frame")
    parser.add_argument(
        "--soft-edges", choices=["refuse", "nearest"], default="refuse", help="nearest: mend masks with smoothed edges"
    )
    parser.set_defaults(run=segment)


def add_model(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--model", default="stcn-small", help="stcn-small unless given; colour, stcn-tiny, xmem-small ...")
    parser.add_argument("--weights", help="weights file of the model; needed for those that do not ship, as stcn and xmem")
    parser.add_argument(
        "--prior", action="store_true", help="ask also where a thing can be by now, not only what it looks like (MotionPrior)"
    )


def prior_of(args: argparse.Namespace):
    """The MotionPrior of --prior, or None."""
    from .memory import MotionPrior

    return MotionPrior() if args.prior else None


def segment(args: argparse.Namespace) -> None:
    import torch

    from .atomic import whole_folder
    from .clip import Clip, annotations_beside
    from .masks import resized, write_mask
    from .models import faster, load_model
    from .report import write_report
    from .tracker import Tracker, first_frames

    device = args.device or ("cuda" if torch.cuda.is_available() else "cpu")
    model = faster(load_model(args.model, args.weights, device))
    clip = Clip.load(args.input, args.mask, short_side=args.short_side, every=args.every, soft_edges=args.soft_edges)
    given = first_frames(clip)  # refuses a clip without a mask before any work is done
    if args.truth and not args.truth.exists():
        raise InputError(f"--truth {args.truth} does not exist: give a folder of PNGs named like the frames")
    source = args.truth or annotations_beside(args.input)
    truth = clip.read_masks(source, soft_edges=args.soft_edges) if source else None  # (T,H,W) at the size of the files
    out = args.out / clip.name
    check_replaceable(out, args.input)

    with whole_folder(out) as draft:  # around the tracking: a disk that refuses writing does so before the work
        track = Tracker(model, prior=prior_of(args)).run(clip)
        masks = resized(track.masks, clip.source_size or clip.size)  # DAVIS wants them at the size of the files
        scores, comment = score_given(masks, truth, list(given), clip.name)
        for name, mask in zip(clip.frame_names, masks):
            write_mask(draft / f"{name}.png", mask)
        Clip(clip.frames, track.masks, clip.name, fps=clip.fps).save_overlay(draft / "overlay.mp4")
        shown = clip if truth is None else replace(clip, masks=resized(truth, clip.size))
        name = args.model + " + prior" * args.prior
        write_report(draft / "report.html", shown, track, scores, name, device, comment)
    print(*([scores] if scores else []), *([comment] if comment else []), sep="\n")
    print(f"{len(clip)} frames in {track.seconds:.1f} s. Look at {out / 'report.html'}")


def score_given(masks, truth, given: list[int], name: str):
    """Scores of the objects that were given, or None, and a sentence on what is not scored."""
    import numpy as np

    from .masks import object_ids
    from .metrics import evaluate

    if truth is None:
        return None, "No scores: the true masks of later frames were not given."
    others = [int(k) for k in object_ids(truth) if k not in given]
    comment = f"Not given, and so not scored: object {', '.join(map(str, others))} of the truth." if others else ""
    try:
        return evaluate(masks, np.where(np.isin(truth, others), 0, truth).astype(np.uint8), name=name), comment
    except InputError as error:
        return None, f"No scores: {error}. {comment}".strip()


def check_replaceable(out: Path, source: Path) -> None:
    """Results replace earlier results of this command, and nothing else."""
    for path in (out, out.parent):
        if path.exists() and not path.is_dir():
            raise InputError(f"{path} is a file: choose another --out")
    if out.resolve() == source.resolve():
        raise InputError(f"{out} is the input itself: choose another --out")
    if out.is_dir():
        present = {p.name for p in out.iterdir() if p.suffix != ".png"}
        if any(out.iterdir()) and ("report.html" not in present or present - {"report.html", "overlay.mp4"}):
            raise InputError(f"{out} holds something else than results of 'vos-lab segment': choose another --out")


def add_track(commands) -> None:
    parser = commands.add_parser(
        "track",
        help="follow the objects of a whole data set",
        description="Writes OUT/CLIP/00000.png ... for `vos-lab evaluate`. DATASET: davis-2016, davis-2017, youtube-vos, "
        "world (held-out rendered clips, written to ROOT first). Clips that OUT already holds are kept, so a run that was "
        "stopped goes on. Several GPUs or machines share the clips: `accelerate launch -m vos_lab.training track ...`.",
    )
    parser.add_argument("dataset", metavar="DATASET", help="name of the data set")
    parser.add_argument("--root", type=Path, required=True, help="the folder that holds it")
    parser.add_argument("--split", help="train, val ...; val (DAVIS) or valid (YouTube-VOS) unless given")
    parser.add_argument("--out", type=Path, required=True, help="folder for the masks")
    parser.add_argument("--clips", nargs="+", help="names of clips; all unless given")
    add_model(parser)
    parser.set_defaults(run=track)


def track(args: argparse.Namespace) -> None:
    from .datasets.track import track_dataset

    track_dataset(args.dataset, args.root, args.out, args.model, args.weights, args.split, args.clips, prior_of(args))


def add_train(commands) -> None:
    parser = commands.add_parser(
        "train",
        help="train a model",
        description="Writes config.yaml, log.jsonl, tensorboard/, checkpoint.pt and the weights into OUT. A run that was "
        "stopped or killed goes on with the same command. Several GPUs or machines: `accelerate launch -m vos_lab.training "
        "train ...`.",
    )
    parser.add_argument("config", metavar="CONFIG", help="name of a config that ships, or a path to a YAML file")
    parser.add_argument("overrides", nargs="*", metavar="key=value", help="settings that differ: lr=1e-4 stages.0.steps=100")
    parser.add_argument("--out", type=Path, help="folder of the run; runs/CONFIG unless given")
    parser.add_argument("--data", choices=["davis", "youtube-vos"], help="train on real clips only, from --root")
    parser.add_argument("--root", type=Path, help="the folder that holds --data")
    parser.set_defaults(run=train_model)


def train_model(args: argparse.Namespace) -> None:
    from accelerate import PartialState

    from .training import load_config, train

    overrides = list(args.overrides)
    if bool(args.data) != bool(args.root):
        raise InputError("--data and --root belong together: --data davis --root FOLDER")
    if args.data:
        overrides.insert(0, f"{args.data.replace('-', '_')}={args.root}")
    config = load_config(args.config, overrides)
    if args.data:
        config = replace(config, stages=[replace(stage, data={args.data: 1}) for stage in config.stages])
    path = train(config, args.out or Path("runs") / Path(args.config).stem)
    if PartialState().is_main_process:
        print(f"Wrote {path}")


def add_experiment(commands) -> None:
    parser = commands.add_parser(
        "experiment",
        help="train variants of a model, several seeds each, and compare them",
        description="Appends a row per run and clip to a table, prints it, summed up, and draws it beside the table. What the "
        "table holds already is not run again, and a run that was stopped goes on: the same command continues.",
    )
    parser.add_argument("experiment", metavar="NAME", help="name of an experiment that ships, or a path to a YAML file")
    parser.add_argument("overrides", nargs="*", metavar="key=value", help="settings that differ: seeds=[0,1] only=[masks,all]")
    parser.add_argument("--out", type=Path, help="folder of the runs; runs/NAME unless given")
    parser.add_argument("--table", type=Path, help="CSV file; OUT/NAME.csv unless given")
    parser.add_argument("--root", default="", help="folder of DAVIS, whose training clips are scored as well")
    parser.add_argument("--clips", nargs="+", help="only these of its clips")
    parser.set_defaults(run=experiment)


def experiment(args: argparse.Namespace) -> None:
    from importlib.util import find_spec

    from .atomic import whole_file
    from .training.experiment import load_experiment, read_table, run_experiment

    name = Path(args.experiment).stem
    out = args.out or Path("runs") / name
    settings = load_experiment(args.experiment, args.overrides)
    table = args.table or out / f"{name}.csv"
    run_experiment(settings, out, table, args.root, args.clips)
    rows = read_table(table)
    variants = {row["variant"] for row in rows}
    if settings.baseline in variants and len(variants) > 1 and find_spec("matplotlib"):  # a bare machine may not have it
        from .show import differences

        with whole_file(table.with_suffix(".png")) as draft:
            differences(rows, settings.baseline).savefig(draft, dpi=100)


def add_bench(commands) -> None:
    parser = commands.add_parser(
        "bench",
        help="measure speed, and what remembering costs and gives",
        description="memory: policies over a clip played forth and back, up to LENGTH frames; OUT/memory.csv and memory.png. "
        "motion: models with and without a MotionPrior on clips that are hard in one way; OUT/motion.csv. away: policies on "
        "clips whose object is out of sight for 200 frames, and on clips of 300 frames; OUT/away.csv. What these tables hold "
        "already is not run again. speed: plain forms against ours in turns, a table; OUT/speed.csv. growth: what a read costs "
        "as memory, objects and frames grow; OUT/growth.csv and growth.png. profile: where the time of a tracked frame goes, "
        "before and after; OUT/profile.csv.",
    )
    parser.add_argument("what", choices=["memory", "motion", "away", "speed", "growth", "profile"])
    parser.add_argument("--models", nargs="+", default=["stcn-small"], help="models that ship (memory and away take the first)")
    parser.add_argument("--out", type=Path, default=Path("runs/bench"))
    parser.add_argument("--length", type=int, default=5000, help="memory: frames for policies whose memory is bounded")
    parser.add_argument("--growing", type=int, default=500, help="memory: frames for EveryNth(1), which remembers them all")
    parser.add_argument("--frames", type=int, help="memory: different ones in the clip (60); speed, profile: tracked ones (20)")
    parser.add_argument("--size", type=int, nargs=2, default=(240, 432), metavar=("H", "W"), help="pixels of rendered frames")
    parser.add_argument("--clips", type=int, default=8, help="motion, away: rendered clips of each kind")
    parser.add_argument("--root", default="", help="motion: folder of DAVIS, whose training clips are tracked as well")
    parser.add_argument("--names", nargs="+", help="motion: only these of its clips")
    parser.add_argument("--rows", nargs="+", default=[], help="speed: only these, as read top-k track scores import")
    parser.add_argument("--repeats", type=int, default=5, help="speed, growth: runs of each way")
    parser.add_argument("--threads", type=int, help="speed, growth, profile: of the CPU; as many as torch takes unless given")
    parser.set_defaults(run=bench)


def bench(args: argparse.Namespace) -> None:
    import torch

    from .atomic import check_writable
    from .bench import away, growth, memory, motion, profile, speed
    from .datasets.world import World
    from .models import faster, load_model
    from .numbers import flush_denormals

    check_writable(args.out)
    size = tuple(args.size)
    if args.threads:
        torch.set_num_threads(args.threads)
    if args.what not in ("speed", "growth", "profile"):  # those compare with plain forms as anybody runs them
        flush_denormals()  # as in training
    if args.what == "speed":
        print(speed.bench_speed(args.rows, args.frames or 20, args.repeats, args.out))
    elif args.what == "growth":
        growth.bench_growth(args.repeats, args.out)
    elif args.what == "profile":
        print(profile.bench_profile(args.frames or 20, args.out))
    elif args.what == "motion":
        print(motion.run(args.models, args.clips, args.root, args.out, size, args.names))
    elif args.what == "away":
        rows = away.bench_away(faster(load_model(args.models[0])), args.clips, size, 200, 300, args.out / "away.csv")
        print(away.summary(rows))
    elif args.what == "memory":
        clip = World(0).clip(args.frames or 60, size, objects=1)
        memory.bench_memory(faster(load_model(args.models[0])), clip, args.length, args.growing, args.out)


def add_evaluate(commands) -> None:
    parser = commands.add_parser(
        "evaluate",
        help="score predicted masks against true ones",
        description="Prints J&F, J and F per clip and their mean over objects; writes scores.csv and scores.json.",
    )
    parser.add_argument("predictions", type=Path, help="a folder with one folder of PNGs per clip (or the PNGs of one clip)")
    parser.add_argument("truth", type=Path, help="the same for the truth: a DAVIS-style root, or its Annotations/480p folder")
    parser.add_argument(
        "--clips", nargs="+", help="names of clips, or a text file with a name per line; all of TRUTH unless given"
    )
    parser.add_argument("--out", type=Path, help="folder for scores.csv and scores.json; PREDICTIONS unless given")
    parser.add_argument(
        "--davis", action="store_true", help="count objects exactly as the DAVIS tool does: 1..largest id in frame 0"
    )
    parser.set_defaults(run=evaluate_trees)


def evaluate_trees(args: argparse.Namespace) -> None:
    from .atomic import check_writable, whole_file
    from .metrics import HEADER, DatasetScores, evaluate
    from .progress import progress

    pairs = clip_pairs(args.predictions, args.truth, args.clips)
    out = args.out or args.predictions
    if out.exists() and not out.is_dir():
        raise InputError(f"{out} is a file: choose another --out")
    check_writable(out)
    clips = []
    for name, predicted, true in progress(pairs, desc="scoring", unit="clip"):
        prediction, truth, sparse = matching_masks(predicted, true)
        try:
            clips.append(evaluate(prediction, truth, davis=args.davis, sparse=sparse, name=name))
        except InputError as error:
            raise InputError(f"clip {name}: {error}") from None
    scores = DatasetScores(clips)
    print(scores)
    with whole_file(out / "scores.csv") as draft, open(draft, "w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([["clip", "object", *HEADER[1:]], *scores.object_rows()])
    with whole_file(out / "scores.json") as draft:
        summary = {"J&F": scores.JF, "J": scores.J, "F": scores.F}
        each = {s.name: {"object_ids": s.object_ids, "J": number_or_null(s.j), "F": number_or_null(s.f)} for s in clips}
        draft.write_text(json.dumps({"mean": summary, "clips": each}), encoding="utf-8")
    print(f"Wrote {out / 'scores.csv'} and {out / 'scores.json'} (J and F of each frame)")


def number_or_null(values) -> list[list[float | None]]:
    """JSON knows no nan: frames that are not scored are null."""
    return [[None if x != x else x for x in row] for row in values.tolist()]


def clip_pairs(predictions: Path, truth: Path, clips: list[str] | None) -> list[tuple[str, Path, Path]]:
    """(name, folder of predicted masks, folder of true masks) of each clip to score."""
    for folder in (predictions, truth):
        if not folder.is_dir():
            raise InputError(f"{folder} is no folder: give a folder with one folder of PNGs per clip")
    if (truth / "Annotations").is_dir():
        resolutions = [p for p in sorted((truth / "Annotations").iterdir()) if p.is_dir()]
        flat = any((p / "00000.png").exists() for p in resolutions)  # YouTube-VOS has no folder for the resolution
        if not flat and len(resolutions) != 1:
            found = ", ".join(p.name for p in resolutions)
            raise InputError(f"{truth / 'Annotations'} holds {found or 'nothing'}: name one of them as TRUTH")
        truth = truth / "Annotations" if flat else resolutions[0]
    if any(truth.glob("*.png")):
        return [(truth.name, predictions, truth)]
    if clips and len(clips) == 1 and clips[0].endswith(".txt"):
        if not Path(clips[0]).is_file():
            raise InputError(f"{clips[0]} does not exist: --clips takes names, or a text file with a name per line")
        clips = Path(clips[0]).read_text(encoding="utf-8", errors="replace").split()
    names = list(dict.fromkeys(clips or [])) or sorted(p.name for p in truth.iterdir() if p.is_dir())
    if not names:
        raise InputError(f"{truth} holds no clips: it should hold a folder of PNGs per clip")
    for folder in (truth, predictions):
        missing = [name for name in names if not (folder / name).is_dir()]
        if missing:
            more = f" and {len(missing) - 3} more" if len(missing) > 3 else ""
            raise InputError(f"{folder} lacks {', '.join(missing[:3])}{more}: add them, or name the clips with --clips")
    return [(name, predictions / name, truth / name) for name in names]


def matching_masks(predicted: Path, true: Path):
    """Ids (T,H,W) of both for the frames that the truth has, and whether those are only some of the clip's frames."""
    import numpy as np

    from .clip import mask_paths
    from .masks import read_masks

    true_paths = mask_paths(true)
    predicted_paths = [predicted / path.name for path in true_paths]
    missing = [path for path in predicted_paths if not path.is_file()]
    if missing:
        raise InputError(
            f"{predicted} lacks {len(missing)} of the {len(true_paths)} frames of the truth, the first {missing[0].name}: "
            "segment the whole clip, without --every"
        )
    prediction, truth = read_masks(predicted_paths), read_masks(true_paths)
    for path, p, t in zip(predicted_paths, prediction, truth):
        if p.shape != t.shape or t.shape != truth[0].shape:
            raise InputError(
                f"{path} is {p.shape[0]}x{p.shape[1]} pixels, the truth {t.shape[0]}x{t.shape[1]}: save it at that size"
            )
    numbers = [int(path.stem) for path in true_paths if path.stem.isdecimal()]
    gaps = numbers and numbers[-1] - numbers[0] >= len(numbers)  # as in YouTube-VOS, where every fifth frame is annotated
    return np.stack(prediction), np.stack(truth), bool(gaps)


def add_download(commands) -> None:
    parser = commands.add_parser(
        "download",
        help="fetch a data set from its official address",
        description="Shows the licence, resumes after a break, checks and unpacks. DATASET: davis-2016, davis-2017, "
        "davis-2017-test-dev, youtube-vos (which must be fetched by hand: says how).",
    )
    parser.add_argument("dataset", metavar="DATASET", help="name of the data set")
    parser.add_argument("--root", type=Path, required=True, help="folder that will hold a folder with the data")
    parser.set_defaults(run=download_dataset)


def download_dataset(args: argparse.Namespace) -> None:
    from .datasets.download import download

    print(f"{args.dataset} is in {download(args.dataset, args.root)}")


if __name__ == "__main__":
    sys.exit(main())
