"""The first page: the verifications of the team."""

from django.core.paginator import Paginator
from django.http import HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from verification.models import Classifier, Team, Verification, Video
from verification.pages.current_team import TeamPageRequest, team_page
from verification.pages.rows import queue_positions, rows

PAGE_SIZE = 25


@require_safe
@team_page
def dashboard(request: TeamPageRequest, team: Team) -> HttpResponse:
    """All verifications of the team, newest first; without one, the step that comes next."""
    found = Verification.objects.for_user(request.user).filter(team=team).select_related("video", "classifier")
    page = Paginator(found, PAGE_SIZE).get_page(request.GET.get("page"))
    shown = list(page.object_list)
    positions = queue_positions() if any(one.status == Verification.Status.QUEUED for one in shown) else {}
    context = {
        "page": page,
        "rows": rows(shown, positions),
        "moving": any(one.is_open for one in shown),
        "has_video": Video.objects.for_user(request.user).filter(team=team).exists(),
        "has_classifier": Classifier.objects.for_user(request.user).filter(team=team).exists(),
    }
    return render(request, "pages/dashboard.html", context)
