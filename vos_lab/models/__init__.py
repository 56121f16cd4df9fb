"""Models, by name, and what each offers (model.Model): encode_key, encode_value, decode, and how it is published to be used."""

from .fast import faster
from .load import load_model
from .model import AnyModel, Model, SensoryModel

__all__ = ["AnyModel", "Model", "SensoryModel", "faster", "load_model"]
