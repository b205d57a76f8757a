"""`manage.py verify`: bounds for one video from the command line, without a database and without a broker."""

import argparse
import json
import signal
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from verification.demo.footage import FootageError
from verification.engine import (
    DEFAULT_EXTRACTOR,
    EXTRACTORS,
    Budget,
    EngineError,
    LowerMethod,
    Norm,
    Result,
    UpperMethod,
    verify,
)
from verification.engine.artifacts import adversarial_files, original_files
from verification.engine.document import result_document
from verification.engine.perturbation import distortion_spellings, spellings
from verification.management.classifier_options import add_classifier_arguments
from verification.services.command_line import DEFAULT_SPACE, Question, read_question
from verification.services.distortions import ALIASES
from verification.services.terminal import TerminalObserver, summary
from verification.services.versions import versions

_BAD_INPUT = 2


class Command(BaseCommand):
    """Exit code 0 when bounds were produced, also after Ctrl-C; 2 on bad input, with one line on stderr."""

    help = (
        "Bound how far the optical flow of VIDEO, or its pixels, can change before the classifier changes its mind, or how "
        "strong a natural distortion such as brightness may become. "
        "Usage: manage.py verify VIDEO --classifier FILE [options], or manage.py verify --demo [options]."
    )
    requires_system_checks: list[str] = []

    def create_parser(self, prog_name: str, subcommand: str, **kwargs: Any) -> CommandParser:
        # Without a usage text argparse's own complaints are one line as well.
        return super().create_parser(prog_name, subcommand, usage=argparse.SUPPRESS, **kwargs)

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "video", metavar="VIDEO", nargs="?", help="a video file, a folder or zip of pictures, or an npy array"
        )
        parser.add_argument("--demo", action="store_true", help="the demo's clip and classifier")
        add_classifier_arguments(parser)
        _add_question_arguments(parser)
        parser.add_argument("--json", type=Path, metavar="FILE", help="write the result to this file")
        parser.add_argument(
            "--certificate",
            type=Path,
            metavar="FILE",
            help="write the lower bound as a certificate that check_certificate can check",
        )
        parser.add_argument(
            "--turns",
            type=Path,
            metavar="FILE",
            help="write all turns of the two players as CSV; where there are players",
        )
        parser.add_argument(
            "--out",
            "--artifacts",
            type=Path,
            metavar="DIR",
            help="write all that a server keeps of a run to this folder: flows, clips, film and pictures",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            _check_targets(options["json"], options["out"])
            _check_targets(options["certificate"], None)
            _check_targets(options["turns"], None)
            question = read_question(options, settings.FLOWVERIFY_HOME / "footage")
            result = self._verify(question, options["certificate"], options["turns"])
            self.stdout.write(summary(question.specification, result))
            _write(question, result, options["json"], options["out"])
        except (EngineError, FootageError, OSError) as error:
            raise CommandError(" ".join(str(error).split()), returncode=_BAD_INPUT) from error
        except MemoryError:
            raise CommandError(
                "there is not enough memory; take fewer or smaller frames", returncode=_BAD_INPUT
            ) from None
        except KeyboardInterrupt:
            raise CommandError("interrupted before there were bounds", returncode=128 + signal.SIGINT) from None

    def _verify(self, question: Question, certificate: Path | None, turns: Path | None) -> Result:
        observer = TerminalObserver(
            sys.stderr, question.specification.unit, turns
        )  # Django's wrapper would end every line
        with _stopping_on_signals(observer):
            try:
                result = verify(question.specification, observer, certified=certificate is not None)
            finally:
                observer.close()
        if observer.written is not None and certificate is not None:
            observer.written.save(certificate)
            radius = question.specification.unit.proven(observer.written.radius)
            self.stdout.write(f"Certificate: {certificate}, of a radius of {radius}.")
        elif observer.reason:
            self.stderr.write(f"No certificate: {observer.reason}")
        return result


def _add_question_arguments(parser: CommandParser) -> None:
    parser.add_argument("--first", type=int, metavar="N", default=1, help="sample frames from this one on, from 1")
    parser.add_argument("--last", type=int, metavar="N", help="and up to this one, included")
    parser.add_argument(
        "--mirror",
        action="store_true",
        help="ask about the clip mirrored left to right, and say whether its class is that of the clip as given",
    )
    parser.add_argument(
        "--flow",
        metavar="EXTRACTOR",
        default=DEFAULT_EXTRACTOR,
        help=f"how optical flow is extracted: {', '.join(EXTRACTORS)}, each also with parameters after a colon, such as "
        f"{EXTRACTORS[DEFAULT_EXTRACTOR].example} (default: {DEFAULT_EXTRACTOR}; docs/flow.md has all of them)",
    )
    parser.add_argument("--norm", choices=[norm.value for norm in Norm], default=Norm.L2.value)
    parser.add_argument(
        "--space",
        metavar="SPACE",
        help=f"which changes are allowed, of the flow or of the pixels: {', '.join(spellings())} (default: {DEFAULT_SPACE})",
    )
    parser.add_argument(
        "--distortion",
        metavar="DISTORTION",
        help=f"instead of --space, a natural distortion of the frames: {', '.join(distortion_spellings())}, what follows a "
        f"colon at will (docs/distortions.md); or {_aliases()}",
    )
    parser.add_argument(
        "--flows",
        metavar="all|1,3",
        default="all",
        help="which flows may change, numbered from 1; not with --space pixels, nor with a distortion of the frames",
    )
    parser.add_argument(
        "--radius",
        type=float,
        metavar="D",
        help="look no further than this distance: pixels of flow, pixel values from 0 to 1, or what the distortion is measured "
        "in",
    )
    parser.add_argument(
        "--query", action="store_true", help="ask only whether the radius is safe, and stop as soon as that is known"
    )
    parser.add_argument(
        "--eight-bit",
        action="store_true",
        help="count only examples whose class change survives the rounding of the frames to 8 bits",
    )
    parser.add_argument(
        "--lower",
        choices=[method.value for method in LowerMethod],
        default=LowerMethod.CELLS.value,
        help="how the lower bound is proven: by admissible A* over cells where the space has few dimensions, beside one "
        "ball; by that ball alone; or on the paper's grid",
    )
    parser.add_argument(
        "--tau",
        type=float,
        metavar="T",
        help="the step of --lower grid, in pixels of flow (default: from Lipschitz constants)",
    )
    parser.add_argument(
        "--upper",
        choices=[method.value for method in UpperMethod],
        default=UpperMethod.GRADIENT.value,
        help="how adversarial examples are looked for: by the exact gradient; or by the paper's finite differences, a forward "
        "pass for every pixel of every frame, for reference",
    )
    parser.add_argument("--seconds", type=float, metavar="S", default=60.0, help="the budget")
    parser.add_argument(
        "--rounds",
        type=int,
        metavar="N",
        help="or so many rounds of work: the same on any machine, given enough seconds",
    )
    parser.add_argument(
        "--memory", type=float, metavar="GB", default=Budget.memory, help="what bounds may keep on the way"
    )
    parser.add_argument("--seed", type=int, metavar="N", default=0)
    parser.add_argument("--device", choices=["auto", "cpu", "cuda"], default="auto")


def _aliases() -> str:
    """`camera-shake, the same as --space translation`."""
    return ", ".join(f"{name}, the same as {_options(said)}" for name, said in ALIASES.items())


def _options(said: Mapping[str, Any]) -> str:
    """`--space translation`; a switch has its name only."""
    return " ".join(f"--{name}" if value is True else f"--{name} {value}" for name, value in said.items())


@contextmanager
def _stopping_on_signals(observer: TerminalObserver) -> Iterator[None]:
    """The first Ctrl-C (or SIGTERM) ends the run with the bounds it has; the second one ends the program."""

    def stop(number: int, frame: FrameType | None) -> None:
        observer.stop()
        signal.signal(signal.SIGINT, signal.default_int_handler)

    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _check_targets(json_file: Path | None, folder: Path | None) -> None:
    """Refuse at once what could not be written in the end."""
    if json_file is not None and (json_file.is_dir() or not json_file.parent.is_dir()):
        raise CommandError(
            f"cannot write {json_file}: it is a folder or its folder does not exist", returncode=_BAD_INPUT
        )
    if folder is not None and folder.exists() and not folder.is_dir():
        raise CommandError(f"cannot write into {folder}: it is a file; name a folder", returncode=_BAD_INPUT)


def _write(question: Question, result: Result, json_file: Path | None, folder: Path | None) -> None:
    document = result_document(question.specification, result, question.video, versions())
    content = (json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False) + "\n").encode()
    if json_file is not None:
        _replace(json_file, content)
    if folder is not None:
        _write_folder(question, result, folder, content)


def _write_folder(question: Question, result: Result, folder: Path, document: bytes) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    frames = question.specification.clip.frames
    flow = question.specification.extract_flow()
    _replace(folder / "result.json", document)
    for file in original_files(frames, flow):
        _replace(folder / file.name, file.content)
    for file in () if result.adversarial is None else adversarial_files(frames, flow, result.adversarial):
        _replace(folder / file.name, file.content)


def _replace(path: Path, content: bytes) -> None:
    """Write a file whole or not at all."""
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=".flowverify-") as scratch:
        draft = Path(scratch) / path.name
        draft.write_bytes(content)
        draft.replace(path)
