"""Classifiers as ONNX files: read as data, turned into a torch module, compared with onnxruntime."""

from verification.engine.network.onnx_import.layout import Layout, layouts
from verification.engine.network.onnx_import.model import OnnxModel, is_onnx, parse_model
from verification.engine.network.onnx_import.network import OnnxNetwork
from verification.engine.network.onnx_import.reference import check_reference

__all__ = ["Layout", "OnnxModel", "OnnxNetwork", "check_reference", "is_onnx", "layouts", "parse_model"]
