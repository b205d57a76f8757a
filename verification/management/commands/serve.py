"""`manage.py serve`: the whole server under one supervisor."""

from typing import Any

from django.core.management.base import BaseCommand, CommandParser


class Command(BaseCommand):
    """Runs web server, broker and worker until Ctrl-C."""

    help = "Run web server, broker and worker, with all state under FLOWVERIFY_HOME. Ctrl-C stops them."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--port", type=int, default=8000, help="port on 127.0.0.1 (default 8000; 0: a free one)")
        parser.add_argument("--no-demo", action="store_true", help="do not fetch and start the demo verification")

    def handle(self, *args: Any, **options: Any) -> None:
        from flowverify.supervisor.supervisor import Supervisor

        def say(line: str) -> None:
            self.stdout.write(line)
            self.stdout.flush()

        Supervisor(options["port"], demo=not options["no_demo"], say=say).run()
