"""`manage.py import_videos DIR`: all videos of a folder into a team's library, with the classes that their names say."""

import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from django.contrib.auth.models import User
from django.core.management.base import BaseCommand, CommandError, CommandParser

from verification.engine.clip import VIDEO_SUFFIXES
from verification.engine.clip.naming import named
from verification.management.owner import find_owner
from verification.management.progress import ProgressLine
from verification.models import Team
from verification.services import videos
from verification.services.errors import Conflict, ServiceError
from verification.services.incoming import plain


class Command(BaseCommand):
    """What the team has already, by content, is passed over: an import that was stopped goes on when it is started again."""

    help = (
        "Import every video below DIR. The class of a video is what a UCF101 name says (v_Class_gNN_cNN.avi), or else the "
        "folder in DIR that it lies in. Run it again to go on where it was stopped."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("folder", metavar="DIR", type=Path)
        parser.add_argument("--team", help="the team's name or id; not needed where the user has only one")
        parser.add_argument("--user", help="who imports them (default: the first administrator)")
        parser.add_argument("--no-classes", action="store_true", help="do not read classes from names and folders")

    def handle(self, *args: Any, **options: Any) -> None:
        folder: Path = options["folder"]
        if not folder.is_dir():
            raise CommandError(f"there is no folder {folder}; check the path")
        user = find_owner(options["user"])
        team = _team(user, options["team"])
        files = list(_videos(folder))
        if not files:
            known = ", ".join(sorted(VIDEO_SUFFIXES))
            raise CommandError(f"there are no videos in {folder}; files are known by their endings: {known}")
        self._import(user, team, folder, files, classes=not options["no_classes"])

    def _import(self, user: User, team: Team, folder: Path, files: list[Path], classes: bool) -> None:
        line = ProgressLine(sys.stderr, len(files))
        imported = known = refused = 0
        try:
            for path in files:
                try:
                    videos.create_video(user, team, path, path.name, _class_of(folder, path) if classes else "")
                    imported += 1
                except Conflict:
                    known += 1
                except (ServiceError, OSError) as error:
                    refused += 1
                    line.write(f"{plain(str(path.relative_to(folder)))}: {error}")
                line.advance(plain(path.name))
        except KeyboardInterrupt:
            line.close()
            raise CommandError(
                f"stopped after {imported} new videos; run it again to go on", returncode=128 + signal.SIGINT
            ) from None
        line.close()
        self.stdout.write(f"{imported} imported, {known} there already, {refused} refused; team “{team.name}”")
        if refused:
            raise CommandError(f"{refused} of {len(files)} files were refused; the reasons stand above")


def _videos(folder: Path) -> Iterator[Path]:
    """Files with the ending of a video, in the order of their paths, hidden ones left out."""
    for path in sorted(folder.rglob("*")):
        hidden = any(part.startswith(".") for part in path.relative_to(folder).parts)
        if path.suffix.lower() in VIDEO_SUFFIXES and path.is_file() and not hidden:
            yield path


def _class_of(folder: Path, path: Path) -> str:
    within = path.relative_to(folder).parts[:-1]
    return named(path.name).class_name or (within[0] if within else "")


def _team(user: User, name: str | None) -> Team:
    teams = list(Team.objects.for_user(user).order_by("name"))
    fitting = [team for team in teams if name is None or name in {team.name, str(team.pk)}]
    if len(fitting) == 1:
        return fitting[0]
    if not teams:
        raise CommandError(f"{user} is in no team; create one on the page Teams")
    known = ", ".join(f"“{team.name}” ({team.pk})" if len(fitting) > 1 else f"“{team.name}”" for team in teams)
    raise CommandError(f"say with --team which of the teams of {user} shall have the videos: {known}")
