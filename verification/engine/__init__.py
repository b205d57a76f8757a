"""The verification engine: proven and attained bounds on the maximum safe radius of a clip, with respect to its flow.

A plain library over torch, numpy and OpenCV. `verify(specification, observer) -> Result` is its face; the mathematics is
cited in the docstrings as sections of the engine contract and as definitions and equations of Wu and Kwiatkowska,
"Robustness Guarantees for Deep Neural Networks on Videos" (CVPR 2020).
"""

from verification.engine.anytime import verify
from verification.engine.clip import Clip, VideoInfo, probe_video, read_clip
from verification.engine.errors import (
    CheckpointError,
    ClassifierError,
    ClipError,
    EngineError,
    SpecificationError,
)
from verification.engine.flow import DEFAULT_EXTRACTOR, EXTRACTORS
from verification.engine.network import ARCHITECTURES, Classifier, load_classifier
from verification.engine.observer import Observer
from verification.engine.perturbation import Norm
from verification.engine.result import AdversarialExample, BoundPoint, Guarantee, Result, Status
from verification.engine.specification import Budget, LowerMethod, Specification, UpperMethod

__all__ = [
    "ARCHITECTURES",
    "DEFAULT_EXTRACTOR",
    "EXTRACTORS",
    "AdversarialExample",
    "BoundPoint",
    "Budget",
    "CheckpointError",
    "Classifier",
    "ClassifierError",
    "Clip",
    "ClipError",
    "EngineError",
    "Guarantee",
    "LowerMethod",
    "Norm",
    "Observer",
    "Result",
    "Specification",
    "SpecificationError",
    "Status",
    "UpperMethod",
    "VideoInfo",
    "load_classifier",
    "probe_video",
    "read_clip",
    "verify",
]
