"""The training loop."""

import json
import math
import platform
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import asdict
from datetime import timedelta
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from .. import __version__
from ..atomic import whole_file
from ..errors import InputError
from ..models import AnyModel
from ..models.presets import build
from ..numbers import flush_denormals
from . import checkpoint
from .config import Config
from .curriculum import Curriculum, clear_errors, loader
from .initial import initial_model
from .log import Log
from .rollout import Losses, Rollout
from .validation import validate, validation_clips

ANYWHERE = {  # settings that may change when a run goes on elsewhere: they do not decide the weights
    *("workers", "log_every", "checkpoint_every", "validate_every", "validation_worlds", "validation_clips"),
    *("davis", "youtube_vos", "static", "photographs"),
}


def train(config: Config, out: str | Path, watch: Callable[[dict, AnyModel], None] | None = None) -> Path:
    """Train into the folder `out`; go on where an interrupted run of the same config was. Returns the weights' path.

    out: config.yaml, log.jsonl, tensorboard/, checkpoint.pt and at the end NAME.safetensors (float16) with NAME.json, the facts
    for a model card; of several machines, all must see this folder. watch: called with each record of the log and the model, in
    evaluation mode. On the CPU, with as many threads, a run that was interrupted ends with the same bits as one that was not.
    Raises InputError for a config that cannot run, another run's folder, a loss or gradient that is not finite, a stop that was
    asked for, and a full disk; the last checkpoint then stays whole.
    """
    from accelerate import Accelerator
    from accelerate.state import AcceleratorState
    from accelerate.utils import InitProcessGroupKwargs
    from tqdm.auto import tqdm

    out = Path(out)
    check_folder(config, out)
    AcceleratorState._reset_state()  # an earlier run in this process may have had another precision
    patience = InitProcessGroupKwargs(timeout=timedelta(hours=3))  # while one process renders
    precision = "no" if config.precision == "fp32" else config.precision
    accelerator = Accelerator(mixed_precision=precision, kwargs_handlers=[patience])
    if precision == "fp16" and accelerator.device.type != "cuda":
        raise InputError("precision=fp16 needs a GPU: give precision=bf16 or precision=fp32")

    flush_denormals()
    torch.manual_seed(config.seed)
    state = checkpoint.load(out / "checkpoint.pt") if (out / "checkpoint.pt").exists() else None
    if state and "rollout" not in state:
        raise InputError(f"{out / 'checkpoint.pt'} is of an older version: delete it to start from the beginning")
    rollout = Rollout(build(config.model) if state else initial_model(config), config)
    if config.channels_last:
        rollout.model.to(memory_format=torch.channels_last)
    average = (
        AveragedModel(rollout.model, multi_avg_fn=get_ema_multi_avg_fn(config.ema), use_buffers=True) if config.ema else None
    )
    kept = average.module if average else rollout.model  # what is watched, scored and saved at the end
    optimizer = make_optimizer(config, rollout)
    done, seconds = 0, 0.0
    if state:
        rollout.load_state_dict(state["rollout"])
        optimizer.load_state_dict(state["optimizer"])
        if average:
            average.load_state_dict(state["average"])
        if accelerator.scaler:
            accelerator.scaler.load_state_dict(state["scaler"])
        done, seconds = state["step"], state["seconds"]
    parallel, optimizer = accelerator.prepare(rollout, optimizer)
    kept.to(accelerator.device)

    with accelerator.main_process_first():  # one process renders, the others find it done
        curriculum = Curriculum(config)
        groups = validation_clips(config) if config.validate_every else {}
    if accelerator.is_main_process:
        checkpoint.sweep(out)
        config.save(out / "config.yaml")
    batches = loader(config, curriculum, done, accelerator.process_index, accelerator.num_processes)
    bar = tqdm(desc=out.name, unit="step", initial=done, total=config.steps, disable=not accelerator.is_main_process)
    began = time.perf_counter() - seconds
    with bar, Log(out, done, state and state["log"], accelerator.is_main_process) as log, polite_stop() as asked:
        for batch in clear_errors(batches):
            set_mode(rollout, config)
            lr = learning_rate(config, done)
            for group in optimizer.param_groups:
                group["lr"] = lr
            # what a step draws (views, anchors, references) depends on its number alone, whether or not the run was resumed
            torch.manual_seed(int(np.random.SeedSequence([config.seed, done]).generate_state(1)[0]))
            losses, gradient = backward(parallel, batch, done, config, accelerator)
            # one number per process is enough for all to agree: on the mean losses, and on whether to stop
            *losses, stop = accelerator.reduce(torch.cat([losses, losses.new_tensor([asked()])]), "mean").tolist()
            if not math.isfinite(losses[0]) or not (accelerator.scaler or math.isfinite(gradient)):
                raise InputError(
                    f"the loss is {losses[0]:g} and the norm of its gradient {gradient:g} at step {done}: lower lr= "
                    f"(now {lr:g}) or set clip_gradient=1; what {out} holds was written before"
                )
            optimizer.step()
            optimizer.zero_grad()
            if average:
                average.update_parameters(rollout.model)
            done += 1
            bar.update()
            log.add(dict(zip(Losses._fields, losses)))
            records = []
            if done % config.log_every == 0 or done == config.steps:
                records.append(log.write(done, lr=lr, seconds=time.perf_counter() - began))
                bar.set_postfix(loss=f"{records[0]['total']:.3f}")
            if groups and (done % config.validate_every == 0 or done == config.steps):
                scores = validate(kept, groups, accelerator)
                records.append(log.write(done, **{f"J&F {group}": score for group, score in scores.items()}))
            for record in records if watch else []:
                watch(record, kept.eval())
            if (done % config.checkpoint_every == 0 or done == config.steps or stop) and accelerator.is_main_process:
                state = {
                    "step": done,
                    "seconds": time.perf_counter() - began,
                    "rollout": rollout.state_dict(),
                    "optimizer": optimizer.state_dict(),
                    "average": average.state_dict() if average else None,
                    "scaler": accelerator.scaler.state_dict() if accelerator.scaler else None,
                    "log": log.state(),
                }
                checkpoint.save(out / "checkpoint.pt", state)
            if stop:
                raise InputError(f"stopped after step {done} of {config.steps}; the same command goes on from there")
    accelerator.wait_for_everyone()
    path = out / f"{config.model}.safetensors"
    if accelerator.is_main_process:
        save_weights(kept, path)
        facts = about(config, curriculum, kept, accelerator, time.perf_counter() - began)
        with whole_file(path.with_suffix(".json")) as draft:
            draft.write_text(json.dumps(facts, indent=1) + "\n", encoding="utf-8")
    return path


def backward(parallel: nn.Module, batch, step: int, config: Config, accelerator) -> tuple[Float[Tensor, "losses"], float]:
    """Forward and backward for this process's share of a batch, in `accumulate` parts: its losses and the gradient's norm."""
    parts = list(zip(*(x.to(accelerator.device, non_blocking=True).chunk(config.accumulate) for x in batch[:4])))
    total = torch.zeros(len(Losses._fields), device=accelerator.device)
    for i, part in enumerate(parts):
        # gradients are averaged over processes once, with the last part
        with accelerator.no_sync(parallel) if i < len(parts) - 1 else nullcontext():
            losses = parallel(*part, step=step)
            accelerator.backward(losses.total / len(parts))
        total += torch.stack([x.detach() for x in losses]) / len(parts)
    return total, float(accelerator.clip_grad_norm_(parallel.parameters(), config.clip_gradient or math.inf))


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
    changed = [f"{name}: {old[name]!r} -> {new[name]!r}" for name in new if old[name] != new[name] and name not in ANYWHERE]
    if changed:
        raise InputError(
            f"{out} holds a run with other settings ({'; '.join(changed)[:300]}): choose another --out, or delete it"
        )


def save_weights(model: nn.Module, path: Path) -> None:
    """The state dict as safetensors, floats in half precision."""
    from safetensors import SafetensorError
    from safetensors.torch import save_file

    state = {name: x.detach().cpu().contiguous() for name, x in model.state_dict().items()}
    try:
        with whole_file(path) as draft:
            save_file({name: x.half() if x.is_floating_point() else x for name, x in state.items()}, draft)
    except SafetensorError as error:
        raise InputError(f"{path} could not be written ({error}): make room and start again; its checkpoint is whole") from None


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
