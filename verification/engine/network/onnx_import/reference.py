"""The peer of every import: onnxruntime must compute what our module computes, or the classifier is refused."""

from collections.abc import Sequence

import onnxruntime
import torch
from torch import Tensor, nn

from verification.engine.errors import ClassifierError, first_line

#: How far logits may be apart, relative to the largest, or to one where all are small.
TOLERANCE = 1e-4


def check_reference(content: bytes, module: nn.Module, inputs: Sequence[Tensor]) -> float:
    """Compare `module` with onnxruntime on `inputs` as the model takes them; the largest difference.

    Raises ClassifierError with that difference if it is above `TOLERANCE`, and where onnxruntime refuses the model.
    """
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4  # its errors come as exceptions; nothing of them belongs on a terminal
    options.intra_op_num_threads = torch.get_num_threads()
    try:
        session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
        (feed,) = session.get_inputs()
        worst = 0.0
        for clip in inputs:
            (expected,) = session.run(None, {feed.name: clip.numpy()})
            with torch.no_grad():
                got = module(clip).double()
            wanted = torch.from_numpy(expected).double()
            if wanted.shape != got.shape:
                raise ClassifierError(
                    f"onnxruntime gets values of shape {list(wanted.shape)} from the model, this program "
                    f"{list(got.shape)}; please report it"
                )
            if not bool(torch.isfinite(wanted).all() & torch.isfinite(got).all()):
                raise ClassifierError("the model gives values that are not finite numbers; its weights are too large")
            worst = max(worst, float((wanted - got).abs().max()) / max(1.0, float(wanted.abs().max())))
    except ClassifierError:
        raise
    except Exception as error:  # onnxruntime's exceptions are of its own, of many classes
        raise ClassifierError(
            f"onnxruntime cannot run the model: {first_line(error)[:300]}; export it again"
        ) from error
    if not worst <= TOLERANCE:
        raise ClassifierError(
            f"the model as read here differs from what onnxruntime computes by {worst:.2g} (relative to its largest value); "
            f"at most {TOLERANCE:g} is allowed: export it with other options or another opset_version, and report it"
        )
    return worst
