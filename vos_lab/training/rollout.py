"""The forward pass of training, and what it minimises."""

from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor, nn
from torch.nn import functional as F

from .. import memory
from ..losses import affinity_supervision, bootstrapped_cross_entropy, dice
from ..matches import cell_labels
from ..models.aggregate import soft_aggregate
from ..models.model import senses
from ..models.stcn import STCN, Features
from ..models.xmem import XMem, XMemFeatures
from .config import Config
from .correspondence import Correspondence, per_frame, ramp


class Losses(NamedTuple):
    """The weighted sum, which is minimised, and its parts before weighting."""

    total: Float[Tensor, ""]
    cross_entropy: Float[Tensor, ""]
    dice: Float[Tensor, ""]
    affinity: Float[Tensor, ""]
    temporal: Float[Tensor, ""]
    cross_view: Float[Tensor, ""]
    object_level: Float[Tensor, ""]


class Rollout(nn.Module):
    """STCN's training scheme: the first mask is given; each later frame reads all frames before it and is then remembered with
    its *predicted* mask, so that the model meets its own mistakes (three frames in the paper). XMem's is the same with more
    frames (eight), of which a few are read, and with the sensory memory running along.
    """

    def __init__(self, model: STCN | XMem, config: Config):
        super().__init__()
        self.model = model
        self.config = config
        self.senses = senses(model)
        self.correspondence = Correspondence(model, config)

    def forward(
        self,
        frames: Float[Tensor, "b t 3 H W"],
        masks: Int64[Tensor, "b t H W"],
        objects: Int64[Tensor, "b"],
        regions: Int64[Tensor, "b t h2 w2"] | None = None,
        step: int = 0,
    ) -> Losses:
        """masks: 0 background, 1..k the objects; objects: how many of these a sample has · regions: see `losses.discover`."""
        b, t = masks.shape[:2]
        k = max(1, int(objects.max()))
        present = torch.arange(k, device=objects.device) < objects[:, None]  # (b,k)
        images = frames.flatten(0, 1)
        if self.config.channels_last:
            images = images.contiguous(memory_format=torch.channels_last)
        features = per_frame(self.model.encode_key(images), b)
        keys = features.key.float().movedim(1, 2)  # (b,c,t,h,w)
        sensory = self.model.first_sensory(at_frame(features, 0), k) if self.senses else None

        prob = F.one_hot(masks[:, 0], k + 1).movedim(-1, 1)[:, 1:].to(frames)  # (b,k,H,W)
        values, logits, readings = [], [], []
        for i in range(1, t):
            value, sensory = self.remember(frames[:, i - 1], at_frame(features, i - 1), prob, sensory, first=i == 1)
            values.append(value.float().flatten(3))
            chosen = self.references(i)
            memory_key, query_key = keys[:, :, chosen].flatten(2), keys[:, :, i].flatten(2)  # (b,c,n), (b,c,m)
            options = {"kind": self.model.matching["kind"]}
            if self.senses:
                options["shrinkage"] = features.shrinkage[:, chosen].float().movedim(1, 2).flatten(2)  # (b,1,n)
                options["selection"] = features.selection[:, i].float().flatten(2)  # (b,c,m)
            with torch.autocast(frames.device.type, enabled=False):  # distances of keys need all their digits
                value_table = torch.cat([values[j] for j in chosen], 3)  # (b,k,cv,n)
                if self.config.affinity:  # the affinity is needed as a whole, and so it is read with
                    reading = memory.affinity(memory.similarity(memory_key, query_key, **options))  # (b,n,m)
                    readings.append((i, chosen, reading))
                    readout = torch.einsum("bkcn,bnm->bkcm", value_table, reading)
                else:
                    readout = memory.read(memory_key, query_key, value_table, **options)  # (b,k,cv,m)
            readout = readout.unflatten(3, value.shape[3:]).to(value)
            alone, sensory = self.decode(readout, at_frame(features, i), sensory)  # (b,k,H,W)
            logits.append(soft_aggregate(alone * present[:, :, None, None], dim=1))  # (b,k+1,H,W)
            prob = logits[-1].softmax(1)[:, 1:]
        on_keys = self.correspondence(self.model, frames, features, masks, regions)
        return self.losses(torch.stack(logits, 1), masks, present, readings, on_keys, step)

    def references(self, i: int) -> list[int]:
        """Which of the frames before frame i are in memory: all of them, or so many at random (XMem: 3 of up to 7)."""
        most = self.config.references or i
        return sorted(torch.randperm(i)[:most].tolist()) if i > most else list(range(i))

    def remember(self, image, features, prob, sensory, first: bool):
        """The value of a frame; a sensory memory is updated by it on the first frame and then now and then."""
        if not self.senses:
            return self.model.encode_value(image, features, prob), None
        value, deep = self.model.encode_value(image, features, prob, sensory)
        return value, deep if first or torch.rand(()) < self.config.deep_updates else sensory

    def decode(self, readout, features, sensory):
        return self.model.decode(readout, features, sensory) if self.senses else (self.model.decode(readout, features), None)

    def losses(
        self,
        logits: Float[Tensor, "b t1 classes H W"],
        masks: Int64[Tensor, "b t H W"],
        present: Bool[Tensor, "b k"],
        readings: list[tuple[int, list[int], Float[Tensor, "b _ m"]]],
        on_keys: tuple[Float[Tensor, ""], Float[Tensor, ""], Float[Tensor, ""]],
        step: int,
    ) -> Losses:
        """Averaged over predicted frames and samples: each sample counts alike, however a batch is cut into parts."""
        c = self.config
        hardest = (c.hardest_from, c.hardest_to, c.hardest)
        pairs = zip(logits.flatten(0, 1).split(1), masks[:, 1:].flatten(0, 1).split(1))
        ce = torch.stack([bootstrapped_cross_entropy(*pair, step, *hardest)[0] for pair in pairs]).mean()
        zero = ce.new_zeros(())
        overlap, matching = zero, zero
        if c.dice:
            truth = F.one_hot(masks[:, 1:], logits.shape[2]).movedim(-1, 2)[:, :, 1:].to(logits)  # (b,t-1,k,H,W)
            prob = logits.softmax(2)[:, :, 1:]
            shown = [dice(p[:, here], y[:, here]) if here.any() else zero for p, y, here in zip(prob, truth, present)]
            overlap = torch.stack(shown).mean()
        if c.affinity:
            labels = cell_labels(masks, self.model.stride, purity=1.0)  # (b,t,m)
            matching = torch.stack(
                [
                    affinity_supervision(reading[s : s + 1], labels[s : s + 1, chosen].flatten(1), labels[s : s + 1, i])
                    for i, chosen, reading in readings
                    for s in range(len(masks))
                ]
            ).mean()
        weighted = zip((c.affinity, c.temporal, c.cross_view, c.object_level), (matching, *on_keys))
        correspondence = sum(weight * loss for weight, loss in weighted)
        total = ce + c.dice * overlap + ramp(step, *c.ramp) * correspondence
        return Losses(total, ce, overlap, matching, *on_keys)


def at_frame(features: Features | XMemFeatures, t: int) -> Features | XMemFeatures:
    """(b,t,...) to (b,...)."""
    return features._make(x[:, t] for x in features)
