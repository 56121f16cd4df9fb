"""The training loop."""

import json
import math
import platform
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import asdict
from pathlib import Path

import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from .. import __version__
from ..atomic import whole_file
from ..errors import InputError
from . import checkpoint
from .config import Config
from .curriculum import Curriculum, loader
from .initial import initial_model
from .log import Log
from .rollout import Rollout
from .validation import validate, validation_clips


def train(config: Config, out: str | Path, watch: Callable[[dict, nn.Module], None] | None = None) -> Path:
    """Train into the folder `out`; go on where an interrupted run of the same config was. Returns the weights' path.

    out: config.yaml, log.jsonl, tensorboard/, checkpoint.pt and at the end NAME.safetensors (float16) with NAME.json, the facts
    for a model card. watch: called with each record of the log and the model. Raises InputError for a config that cannot run,
    another run's folder, a loss that is not finite, and a disk that is full; the last checkpoint then stays whole.
    """
    from accelerate import Accelerator
    from tqdm.auto import tqdm

    out = Path(out)
    check_folder(config, out)
    accelerator = Accelerator(mixed_precision="no" if config.precision == "fp32" else config.precision)
    rank, processes = accelerator.process_index, accelerator.num_processes
    torch.manual_seed(config.seed)
    rollout = Rollout(initial_model(config), config)
    if config.channels_last:
        rollout.model.to(memory_format=torch.channels_last)
    average = (
        AveragedModel(rollout.model, multi_avg_fn=get_ema_multi_avg_fn(config.ema), use_buffers=True) if config.ema else None
    )
    optimizer = make_optimizer(config, rollout)
    done, seconds = 0, 0.0
    if (out / "checkpoint.pt").exists():
        state = checkpoint.load(out / "checkpoint.pt")
        rollout.model.load_state_dict(state["model"])
        optimizer.load_state_dict(state["optimizer"])
        if average:
            average.load_state_dict(state["average"])
        torch.set_rng_state(state["random"])
        if accelerator.scaler:
            accelerator.scaler.load_state_dict(state["scaler"])
        done, seconds = state["step"], state["seconds"]
    parallel, optimizer = accelerator.prepare(rollout, optimizer)
    if average:
        average.to(accelerator.device)
    best = average.module if average else rollout.model  # what is watched and saved

    with accelerator.main_process_first():  # one process renders, the others find it done
        curriculum = Curriculum(config)
        groups = validation_clips(config)
    batches = loader(config, curriculum, done, rank, processes)
    if accelerator.is_main_process and not (out / "config.yaml").exists():
        config.save(out / "config.yaml")
    began = time.perf_counter() - seconds

    def save() -> None:
        if accelerator.is_main_process:
            state = {
                "step": done,
                "seconds": time.perf_counter() - began,
                "model": rollout.model.state_dict(),
                "optimizer": optimizer.state_dict(),
                "average": average.state_dict() if average else None,
                "scaler": accelerator.scaler.state_dict() if accelerator.scaler else None,
                "random": torch.get_rng_state(),
            }
            checkpoint.save(out / "checkpoint.pt", state)

    bar = tqdm(batches, desc=out.name, unit="step", initial=done, total=config.steps, disable=not accelerator.is_main_process)
    with Log(out, done, accelerator.is_main_process) as log, polite_stop() as stop:
        for batch in bar:
            set_mode(rollout, config)
            lr = learning_rate(config, done)
            for group in optimizer.param_groups:
                group["lr"] = lr
            losses = step(parallel, batch, done, config, accelerator)
            if not math.isfinite(losses["loss"]):
                raise InputError(
                    f"the loss is {losses['loss']} at step {done}: lower lr= (now {lr:g}) or set clip_gradient=1; "
                    f"the checkpoint in {out} was written before"
                )
            optimizer.step()
            optimizer.zero_grad()
            if average:
                average.update_parameters(rollout.model)
            done += 1
            log.add(losses)
            if done % config.log_every == 0 or done == config.steps:
                record = log.write(done, lr=lr, seconds=time.perf_counter() - began)
                bar.set_postfix(loss=f"{record['loss']:.3f}")
                if watch:
                    watch(record, best)
            if groups and (done % config.validate_every == 0 or done == config.steps):
                record = log.write(
                    done, **{f"J&F {group}": score for group, score in validate(best, groups, accelerator).items()}
                )
                if watch:
                    watch(record, best)
            if done % config.checkpoint_every == 0 or done == config.steps or stop():
                save()
            if stop():
                bar.close()
                raise InputError(f"stopped after step {done} of {config.steps}; the same command goes on from there")
    accelerator.wait_for_everyone()
    path = out / f"{config.model}.safetensors"
    if accelerator.is_main_process:
        save_weights(best, path)
        facts = about(config, curriculum, best, accelerator, time.perf_counter() - began)
        with whole_file(path.with_suffix(".json")) as draft:
            draft.write_text(json.dumps(facts, indent=1) + "\n", encoding="utf-8")
    return path


def step(parallel: nn.Module, batch, number: int, config: Config, accelerator) -> dict[str, float]:
    """Forward and backward for one batch, in `accumulate` parts. Returns the losses of this process's share."""
    frames, masks, objects, _ = batch
    parts = list(zip(frames.chunk(config.accumulate), masks.chunk(config.accumulate), objects.chunk(config.accumulate)))
    total = None
    for i, part in enumerate(parts):
        part = [x.to(accelerator.device, non_blocking=True) for x in part]
        alone = accelerator.no_sync(parallel) if i < len(parts) - 1 else nullcontext()
        with alone:  # gradients are averaged over processes once, with the last part
            losses = parallel(*part, number)
            accelerator.backward(losses.total / len(parts))
        found = torch.stack([x.detach() for x in losses]) / len(parts)
        total = found if total is None else total + found
    if config.clip_gradient:
        accelerator.clip_grad_norm_(parallel.parameters(), config.clip_gradient)
    return dict(zip(("loss", "cross_entropy", "dice", "affinity"), total.tolist()))


def make_optimizer(config: Config, rollout: Rollout) -> torch.optim.Optimizer:
    kind = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW}[config.optimizer]
    return kind(rollout.parameters(), lr=config.lr, weight_decay=config.weight_decay)


def learning_rate(config: Config, step: int) -> float:
    """Of this step: warm-up, then a cosine to 0 or drops to a tenth."""
    if step < config.warmup:
        return config.lr * (step + 1) / config.warmup
    if config.schedule == "drops":
        return config.lr * 0.1 ** sum(step >= drop for drop in config.lr_drops)
    return config.lr * 0.5 * (1 + math.cos(math.pi * (step - config.warmup) / max(1, config.steps - config.warmup)))


def set_mode(rollout: Rollout, config: Config) -> None:
    """Training, with batch norm's statistics as they are where the config says so."""
    rollout.train()
    if config.freeze_norm:
        for module in rollout.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.eval()


@contextmanager
def polite_stop() -> Iterator[Callable[[], bool]]:
    """Ctrl-C and SIGTERM wait for the end of a step; a second Ctrl-C does not."""
    caught = []

    def handler(number, frame):
        if caught and number == signal.SIGINT:
            raise KeyboardInterrupt
        caught.append(number)

    try:
        before = {number: signal.signal(number, handler) for number in (signal.SIGINT, signal.SIGTERM)}
    except ValueError:  # not in the main thread: signals go elsewhere
        before = {}
    try:
        yield lambda: bool(caught)
    finally:
        for number, old in before.items():
            signal.signal(number, old)


def check_folder(config: Config, out: Path) -> None:
    """A folder goes on with its own run only."""
    if out.exists() and not out.is_dir():
        raise InputError(f"{out} is a file: choose another --out")
    saved = out / "config.yaml"
    if not saved.exists():
        return
    from .config import load_config

    old, new = asdict(load_config(saved)), asdict(config)
    changed = [f"{name}: {old[name]!r} -> {new[name]!r}" for name in new if old[name] != new[name]]
    if changed:
        raise InputError(
            f"{out} holds a run with other settings ({'; '.join(changed)[:300]}): choose another --out, or delete it"
        )


def save_weights(model: nn.Module, path: Path) -> None:
    """The state dict as safetensors, floats in half precision."""
    from safetensors.torch import save_file

    state = {name: x.detach().cpu().contiguous() for name, x in model.state_dict().items()}
    with whole_file(path) as draft:
        save_file({name: x.half() if x.is_floating_point() else x for name, x in state.items()}, draft)


def about(config: Config, curriculum: Curriculum, model: nn.Module, accelerator, seconds: float) -> dict:
    """What a model card must say, as far as the run knows it."""
    device = torch.cuda.get_device_name() if accelerator.device.type == "cuda" else f"{torch.get_num_threads()} CPU threads"
    return {
        "config": asdict(config),
        "parameters": sum(p.numel() for p in model.parameters()),
        "steps": config.steps,
        "samples": len(curriculum),
        "hours": round(seconds / 3600, 3),
        "hardware": f"{accelerator.num_processes} x {device} ({platform.machine()})",
        "versions": {"vos_lab": __version__, "torch": torch.__version__, "python": platform.python_version()},
    }
