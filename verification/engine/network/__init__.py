"""Classifiers: files, named architectures, and the network as a graph of operations."""

from verification.engine.network.architectures import ARCHITECTURES, Architecture
from verification.engine.network.classifier import (
    Channels,
    Classifier,
    InputSpecification,
    load_classifier,
    save_classifier,
)
from verification.engine.network.inspect import read_labels

__all__ = [
    "ARCHITECTURES",
    "Architecture",
    "Channels",
    "Classifier",
    "InputSpecification",
    "load_classifier",
    "read_labels",
    "save_classifier",
]
