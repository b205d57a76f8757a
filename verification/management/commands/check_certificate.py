"""`manage.py check_certificate`: prove the lower bound of a certificate again, by a program that does not search."""

import argparse
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from verification.demo.clip import demo_video
from verification.demo.footage import FootageError
from verification.engine import EngineError, read_clip
from verification.engine.certificate import Certificate, Outcome, Verdict, check, check_form
from verification.engine.clip import Part
from verification.management.classifier_options import add_classifier_arguments
from verification.services.command_line import read_classifier

_INVALID, _UNREADABLE = 1, 2


class Command(BaseCommand):
    """Exit code 0: the claim has been proven again. 1: the certificate is invalid, with the reason.

    2: nothing can be said, because a file cannot be read, the network has an operation that the checker does not know, or the
    video and the classifier were not given. Without them form, digest and cover are checked, and a certificate that is wrong in
    these is invalid.
    """

    help = (
        "Check the certificate FILE of a lower bound. Usage: manage.py check_certificate FILE --video VIDEO "
        "--classifier FILE [options]. Exit code 0: valid, 1: invalid, 2: not checked."
    )
    requires_system_checks: list[str] = []

    def create_parser(self, prog_name: str, subcommand: str, **kwargs: Any) -> CommandParser:
        # Without a usage text argparse's own complaints are one line as well.
        return super().create_parser(prog_name, subcommand, usage=argparse.SUPPRESS, **kwargs)

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("certificate", metavar="FILE", type=Path)
        parser.add_argument(
            "--video", metavar="VIDEO", help="a video file, a folder or zip of pictures, or an npy array"
        )
        parser.add_argument("--first", type=int, metavar="N", default=1, help="frames were sampled from this one on")
        parser.add_argument("--last", type=int, metavar="N", help="and up to this one, included")
        parser.add_argument("--demo", action="store_true", help="the demo's clip and classifier, where none are named")
        add_classifier_arguments(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            verdict = _verdict(options)
        except (EngineError, FootageError, OSError) as error:
            raise CommandError(" ".join(str(error).split()), returncode=_UNREADABLE) from error
        except MemoryError:
            raise CommandError("there is not enough memory", returncode=_UNREADABLE) from None
        line = f"{verdict.outcome.value}: {verdict.reason}"
        if not verdict.valid:
            raise CommandError(line, returncode=_INVALID if verdict.outcome is Outcome.INVALID else _UNREADABLE)
        self.stdout.write(f"{line} ({verdict.leaves} leaves proven)")


def _verdict(options: dict[str, Any]) -> Verdict:
    certificate = Certificate.load(options["certificate"])
    if not options["demo"] and (options["video"] is None or options["classifier"] is None):
        return check_form(certificate)
    classifier = read_classifier(options)  # the demo's if none is named
    wanted = classifier.input
    video = options["video"] or demo_video(settings.FLOWVERIFY_HOME / "footage")
    clip = read_clip(
        Path(video),
        frames=wanted.frames,
        size=(wanted.height, wanted.width),
        sampling=wanted.sampling,
        part=Part(options["first"], options["last"]),
    )
    return check(certificate, clip, classifier)
