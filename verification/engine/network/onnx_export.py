"""A classifier as an ONNX file, with all that is known of its input and classes in its metadata."""

import tempfile
import warnings
from pathlib import Path

import onnx
import torch

from verification.engine.errors import ClassifierError, first_line
from verification.engine.network.classifier import Classifier, input_metadata
from verification.engine.network.input import InputSpecification
from verification.engine.network.onnx_import.model import NEWEST, OLDEST


def export_onnx(classifier: Classifier, path: str | Path, version: int = 17) -> None:
    """Write `classifier` in one `version` of the ONNX operators; `load_classifier` reads it without options.

    The file takes RGB clips (1, l, 3, h, w) in [0, 1]: channel order, mean and the like are part of the graph. It appears
    whole or not at all. Raises ClassifierError where torch cannot export the network.
    """
    if not OLDEST <= version <= NEWEST:
        raise ClassifierError(f"version {version} of the ONNX operators cannot be written; choose {OLDEST} to {NEWEST}")
    path, wanted = Path(path), classifier.input
    with tempfile.TemporaryDirectory(dir=path.parent) as directory:
        draft = Path(directory) / path.name
        _export(classifier, draft, version)
        model = onnx.load(draft, load_external_data=False)
        plain = InputSpecification(wanted.frames, wanted.height, wanted.width, sampling=wanted.sampling)
        for key, value in input_metadata(classifier.labels, plain).items():
            model.metadata_props.add(key=key, value=value)
        onnx.save(model, draft)
        draft.replace(path)


def _export(classifier: Classifier, path: Path, version: int) -> None:
    """The graph alone."""
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")  # of the exporter's own plans, and of batches that we do not have
        try:
            torch.onnx.export(
                classifier.module,
                (torch.rand(classifier.input.shape),),
                path,
                input_names=["clip"],
                output_names=["logits"],
                opset_version=version,
                dynamo=False,
            )
        except Exception as error:  # the exporter's errors are of many unrelated classes
            raise ClassifierError(
                f"torch cannot export the classifier in version {version}: {first_line(error)[:300]}"
            ) from error
