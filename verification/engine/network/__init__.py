"""Classifiers: files, named architectures, and the network as a graph of operations."""

from verification.engine.network.architectures import ARCHITECTURES, Architecture
from verification.engine.network.classifier import ONNX, Classifier, check_clip, load_classifier, save_classifier
from verification.engine.network.input import AxisOrder, Channels, InputSpecification, ValueRange
from verification.engine.network.inspect import read_labels
from verification.engine.network.onnx_export import export_onnx

__all__ = [
    "ARCHITECTURES",
    "ONNX",
    "Architecture",
    "AxisOrder",
    "Channels",
    "Classifier",
    "InputSpecification",
    "ValueRange",
    "check_clip",
    "export_onnx",
    "load_classifier",
    "read_labels",
    "save_classifier",
]
