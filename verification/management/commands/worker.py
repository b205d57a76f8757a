"""`manage.py worker`: runs verifications until it is asked to stop."""

from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandParser

from flowverify.supervisor.lifeline import hold


class Command(BaseCommand):
    """One dramatiq worker with one thread: a verification uses the cores by itself."""

    help = "Run queued verifications, one at a time. SIGTERM or Ctrl-C: checkpoint, give the work back, stop."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--queues",
            nargs="*",
            default=["default"],
            metavar="DEVICE",
            help="which queues to serve (default: default)",
        )
        parser.add_argument(
            "--threads",
            type=int,
            metavar="N",
            help="cores for the mathematics (default: FLOWVERIFY_THREADS, else all but one)",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        hold(settings.FLOWVERIFY_HOME, "worker")
        from verification.jobs.worker import run

        run(queues=set(options["queues"]), threads=options["threads"])
