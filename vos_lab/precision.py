"""bfloat16 where the hardware computes with it: a third of the digits, and a network two to four times as fast."""

from contextlib import AbstractContextManager, nullcontext

import torch


def has_bfloat16(device: torch.device) -> bool:
    """Does this hardware multiply in bfloat16, rather than imitate it?"""
    if device.type == "cuda":
        return torch.cuda.get_device_capability(device) >= (8, 0)  # Ampere
    check = getattr(torch.cpu, "_is_avx512_bf16_supported", None)  # from torch 2.6 on
    return device.type == "cpu" and check is not None and check()


def fast(model: object, device: torch.device) -> AbstractContextManager:
    """Where a model says precision="auto", its convolutions run in bfloat16 if `has_bfloat16`; others run as they are."""
    if getattr(model, "precision", "fp32") == "auto" and has_bfloat16(device):
        return torch.autocast(device.type, torch.bfloat16)
    return nullcontext()
