"""The options by which commands name a classifier, and say what its file does not."""

from django.core.management.base import CommandParser

from verification.engine.network import ARCHITECTURES, AxisOrder, ValueRange


def add_classifier_arguments(parser: CommandParser) -> None:
    """Add what `services.command_line.read_classifier` reads."""
    parser.add_argument("--classifier", metavar="FILE", help="an ONNX model, or weights as safetensors")
    parser.add_argument(
        "--architecture", metavar="NAME", help=f"one of {', '.join(ARCHITECTURES)}, if the file is silent"
    )
    parser.add_argument("--labels", metavar="FILE", help="the names of the classes, one a line, or a JSON list")
    parser.add_argument("--frames", type=int, metavar="N", help="frames of the clip")
    parser.add_argument("--size", metavar="HxW", help="height and width of the clip in pixels")
    parser.add_argument("--sampling", metavar="RULE", help="uniform, floor or fps:X")
    parser.add_argument("--channels", choices=["rgb", "bgr"], help="the channel order of the classifier")
    parser.add_argument(
        "--order", choices=list(AxisOrder), help="the axes of its input; of an ONNX model read from its shape"
    )
    parser.add_argument(
        "--range", choices=list(ValueRange), help="its input's values for black and white; write --range=-1..1"
    )
    parser.add_argument(
        "--trust", action="store_true", help="read a .pt2 file, which may run code: only if you made it yourself"
    )
    for name, what in (("mean", "the mean subtracted from"), ("std", "the deviation that divides")):
        parser.add_argument(f"--{name}", nargs=3, type=float, metavar="X", help=f"{what} the values of each channel")
