"""`manage.py export_onnx FILE`: a classifier as an ONNX file that describes itself."""

from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from verification.engine import EngineError
from verification.engine.network import export_onnx
from verification.management.classifier_options import add_classifier_arguments
from verification.services.command_line import read_classifier


class Command(BaseCommand):
    """Writes the file and says what is in it."""

    help = "Write a classifier (the demo's, if none is named) as an ONNX file, with its labels and its input in the metadata."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("out", metavar="FILE", help="the ONNX file to write")
        parser.add_argument(
            "--opset", type=int, metavar="N", default=17, help="the version of the ONNX operators, 9 to 21"
        )
        add_classifier_arguments(parser)

    def handle(self, **options: Any) -> None:
        out = Path(options["out"])
        if not out.parent.is_dir():
            raise CommandError(f"there is no folder {out.parent}; make it first")
        try:
            classifier = read_classifier(options)
            export_onnx(classifier, out, options["opset"])
        except EngineError as error:
            raise CommandError(str(error)) from error
        except OSError as error:
            raise CommandError(f"{out} cannot be written: {error.strerror}") from error
        size = f"{classifier.input.frames} frames of {classifier.input.height}x{classifier.input.width} pixels"
        self.stdout.write(f"{out}: {len(classifier.labels)} classes, clips of {size}, RGB, values from 0 to 1")
