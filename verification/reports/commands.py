"""The command lines that ask a verification's question, and that check its certificate."""

import json
import shlex

from verification.models import Classifier, Verification


def verify_command(verification: Verification) -> str:
    """The command line that asks the same question."""
    words = ["python", "manage.py", "verify", verification.video.name]
    words += _clip_words(verification)
    words += ["--mirror"] if verification.mirrored else []
    words += ["--norm", verification.norm, "--space", verification.space]
    if verification.flows is not None:
        words += ["--flows", ",".join(map(str, verification.flows))]
    if verification.radius is not None:
        words += ["--radius", repr(verification.radius)]
    words += ["--query"] if verification.query else []
    words += ["--eight-bit"] if verification.eight_bit else []
    words += [] if verification.lower_method == "cells" else ["--lower", verification.lower_method]
    words += [] if verification.tau is None else ["--tau", repr(verification.tau)]
    words += [] if verification.upper_method == "gradient" else ["--upper", verification.upper_method]
    words += ["--flow", verification.extractor, "--seconds", f"{verification.seconds:g}"]
    words += ["--seed", str(verification.seed)]
    # Where there can be none, to try it again would take time for nothing.
    words += [] if verification.certificate_radius is None else ["--certificate", "certificate.json"]
    return shlex.join(words)


def check_command(verification: Verification) -> str:
    """The command line that checks the certificate, for whoever has video and classifier under the same names."""
    words = ["python", "manage.py", "check_certificate", "certificate.json", "--video", verification.video.name]
    return shlex.join(words + _clip_words(verification))


def _clip_words(verification: Verification) -> list[str]:
    """The classifier, and which frames of the video it was given."""
    words = ["--classifier", verification.classifier.name, "--frames", str(verification.frames)]
    words += _input_words(verification.classifier)
    words += ["--first", str(verification.first)] if verification.first > 1 else []
    words += ["--last", str(verification.last)] if verification.last is not None else []
    return [*words, "--sampling", verification.sampling]


def _input_words(classifier: Classifier) -> list[str]:
    """What may have been said of a classifier's input beside its file; what is usual is left out."""
    words = ["--labels", json.dumps(classifier.labels, ensure_ascii=False)] if classifier.architecture == "onnx" else []
    words += [] if classifier.channels == "rgb" else ["--channels", classifier.channels]
    words += [] if classifier.order == "ntchw" else ["--order", classifier.order]
    words += [] if classifier.range == "0..1" else [f"--range={classifier.range}"]
    for option, triple in (("--mean", classifier.mean), ("--std", classifier.deviation)):
        words += [] if triple is None else [option, *map(repr, triple)]
    return words
