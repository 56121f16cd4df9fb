"""What a tracker needs of a model: whatever has these members can be tracked with. Nothing is inherited, nothing registered."""

from collections.abc import Iterator
from typing import Any, Protocol, runtime_checkable

from jaxtyping import Float
from torch import Tensor
from typing_extensions import TypeIs  # in typing from Python 3.13 on; torch brings it

from ..memory import Policy


@runtime_checkable
class Features(Protocol):
    """What a model says of an image: a NamedTuple of its key and whatever else its own methods want to see again.

    For kind="anisotropic" it has a shrinkage (b,1,h,w) and a selection (b,c,h,w) as well, see `memory.similarity`.
    """

    @property
    def key(self) -> Float[Tensor, "b c h w"]:
        """A vector per cell, which is compared with those in memory."""

    def _replace(self, *, key: Float[Tensor, "b c h w"] = ...) -> "Features":
        """As each NamedTuple has it: the tracker compares keys in full precision."""


class HasKeys(Protocol):
    """The half that all models have in common."""

    @property
    def stride(self) -> int:
        """Pixels per cell, along one side."""

    @property
    def matching(self) -> dict[str, Any]:
        """Options of `memory.read` that it is published with: kind, top_k, temperature."""

    @property
    def policy(self) -> Policy:
        """What to remember, unless the tracker is told otherwise."""

    def parameters(self) -> Iterator[Tensor]:
        """As an nn.Module has them; frames go where the first one is. There may be none."""

    def buffers(self) -> Iterator[Tensor]:
        """The same of what is not trained."""

    def encode_key(self, image: Float[Tensor, "b 3 H W"]) -> Features:
        """Where to look: the keys of a normalised image, whose sides are multiples of the stride."""


@runtime_checkable
class Model(HasKeys, Protocol):
    """Any model that has keys. features: what its encode_key said of the same image."""

    def encode_value(
        self, image: Float[Tensor, "b 3 H W"], features: Any, masks: Float[Tensor, "b k H W"]
    ) -> Float[Tensor, "b k cv h w"]:
        """What to remember of each object."""

    def decode(self, readout: Float[Tensor, "b k cv h w"], features: Any) -> Float[Tensor, "b k H W"]:
        """The probability of each object, on its own, from what memory said to each cell."""


@runtime_checkable
class SensoryModel(HasKeys, Protocol):
    """One with a sensory memory beside it (XMem): of each object, passed on from frame to frame and never matched."""

    def first_sensory(self, features: Any, objects: int) -> Float[Tensor, "b k cs h w"]:
        """That of objects of which nothing is sensed yet."""

    def encode_value(
        self,
        image: Float[Tensor, "b 3 H W"],
        features: Any,
        masks: Float[Tensor, "b k H W"],
        sensory: Float[Tensor, "b k cs h w"],
    ) -> tuple[Float[Tensor, "b k cv h w"], Float[Tensor, "b k cs h w"]]:
        """What to remember of each object, and its sensory memory after a frame that is remembered."""

    def decode(
        self, readout: Float[Tensor, "b k cv h w"], features: Any, sensory: Float[Tensor, "b k cs h w"]
    ) -> tuple[Float[Tensor, "b k H W"], Float[Tensor, "b k cs h w"]]:
        """The probability of each object, on its own, and its sensory memory after any other frame."""


AnyModel = Model | SensoryModel


def senses(model: AnyModel) -> TypeIs[SensoryModel]:
    """Whether the model has a sensory memory."""
    return hasattr(model, "first_sensory")
