"""`manage.py start_demo`: the demo's team, video, classifier and verification, each made once."""

from pathlib import Path
from typing import Any

from django.conf import settings
from django.contrib.auth.models import User
from django.core.management.base import BaseCommand, CommandError

from verification import demo
from verification.management.owner import find_owner
from verification.models import Classifier, Team, Verification, Video

DEMO = "Demo"
WEIGHTS = Path(demo.__file__).with_name("camera_motion.safetensors")
#: The example budget: long enough for both bounds to settle on a small machine.
SECONDS = 120.0


class Command(BaseCommand):
    """Prints the id of the demo verification on its last line, whether it was made now or before."""

    help = "Fetch the demo's footage and start its verification, unless that has been done; print its id."
    requires_system_checks: list[str] = []

    def handle(self, *args: Any, **options: Any) -> None:
        user = find_owner()
        found = Verification.objects.for_user(user).filter(name=DEMO).order_by("created_at").first()
        verification = found or self._start(user)
        self.stdout.write(str(verification.pk))

    def _start(self, user: User) -> Verification:
        # The engine takes seconds to load; a second start of the server does not need it.
        from verification.demo.footage import FootageError
        from verification.engine import EngineError
        from verification.services import teams, verifications
        from verification.services.errors import ServiceError

        try:
            owned = Team.objects.filter(memberships__user=user, name=DEMO).first()
            team = owned or teams.create_team(user, DEMO)
            video, classifier = self._video(user, team), self._classifier(user, team)
            return verifications.create_verification(user, video, classifier, seconds=SECONDS, name=DEMO)
        except (ServiceError, EngineError, FootageError, OSError) as error:
            raise CommandError(str(error)) from error

    def _video(self, user: User, team: Team) -> Video:
        from verification.demo.clip import demo_video
        from verification.services import videos

        if video := Video.objects.filter(team=team).order_by("created_at").first():
            return video
        path = demo_video(settings.FLOWVERIFY_HOME / "footage")
        return videos.create_video(user, team, path, path.name)

    def _classifier(self, user: User, team: Team) -> Classifier:
        from verification.services import classifiers

        if classifier := Classifier.objects.filter(team=team).order_by("created_at").first():
            return classifier
        return classifiers.create_classifier(user, team, WEIGHTS, WEIGHTS.name)
