"""Videos and classifiers: what the team has uploaded, each with a page of its own."""

import json
from uuid import UUID

from django.contrib import messages
from django.core.paginator import Paginator
from django.db.models import Count
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_POST, require_safe

from verification.engine.network import ARCHITECTURES
from verification.models import Classifier, Team, Video
from verification.pages.current_team import TeamPageRequest, team_page
from verification.pages.refusals import show_as_message
from verification.pages.rows import queue_positions, rows
from verification.services import classifiers as classifier_services
from verification.services import videos as video_services
from verification.services.errors import ServiceError

PAGE_SIZE = 50
_VIDEO_FILES = ".mp4,.avi,.mov,.webm,.gif,.mkv,video/*"
_CLASSIFIER_FILES = ".safetensors"


def _upload_props(team: Team, kind: str, accept: str, refresh: str, **more: object) -> str:
    """Properties of the upload island, as JSON."""
    props = {
        "kind": kind,
        "team": str(team.pk),
        "endpoint": "/api/v1/uploads/",
        "accept": accept,
        "refresh": refresh,
    }
    return json.dumps(props | more)


@require_safe
@team_page
def videos(request: TeamPageRequest, team: Team) -> HttpResponse:
    """All videos of the team, and the upload."""
    found = Video.objects.for_user(request.user).filter(team=team).annotate(uses=Count("verifications"))
    context = {
        "page": Paginator(found, PAGE_SIZE).get_page(request.GET.get("page")),
        "upload": _upload_props(team, "video", _VIDEO_FILES, "videos"),
    }
    return render(request, "pages/videos.html", context)


@require_safe
@team_page
def classifiers(request: TeamPageRequest, team: Team) -> HttpResponse:
    """All classifiers of the team, and the upload."""
    found = Classifier.objects.for_user(request.user).filter(team=team).annotate(uses=Count("verifications"))
    context = {
        "page": Paginator(found, PAGE_SIZE).get_page(request.GET.get("page")),
        "upload": _upload_props(
            team, "classifier", _CLASSIFIER_FILES, "classifiers", architectures=sorted(ARCHITECTURES)
        ),
    }
    return render(request, "pages/classifiers.html", context)


@require_safe
@team_page
def video(request: TeamPageRequest, team: Team, pk: UUID) -> HttpResponse:
    """What is known about one video, and where it is used. Opens for every team of the person."""
    found = get_object_or_404(Video.objects.for_user(request.user), pk=pk)
    used = found.verifications.select_related("video", "classifier")
    return render(request, "pages/video.html", {"video": found, "rows": rows(used, queue_positions())})


@require_safe
@team_page
def classifier(request: TeamPageRequest, team: Team, pk: UUID) -> HttpResponse:
    """What is known about one classifier, and where it is used. Opens for every team of the person."""
    found = get_object_or_404(Classifier.objects.for_user(request.user), pk=pk)
    used = found.verifications.select_related("video", "classifier")
    return render(request, "pages/classifier.html", {"classifier": found, "rows": rows(used, queue_positions())})


@require_POST
@team_page
def delete_video(request: TeamPageRequest, team: Team, pk: UUID) -> HttpResponse:
    """Delete a video that no verification uses."""
    found = get_object_or_404(Video.objects.for_user(request.user), pk=pk)
    try:
        video_services.delete_video(request.user, found)
    except ServiceError as error:
        show_as_message(request, error)
        return redirect("video", pk)
    messages.success(request, f"“{found.name}” is deleted.")
    return redirect("videos")


@require_POST
@team_page
def delete_classifier(request: TeamPageRequest, team: Team, pk: UUID) -> HttpResponse:
    """Delete a classifier that no verification uses."""
    found = get_object_or_404(Classifier.objects.for_user(request.user), pk=pk)
    try:
        classifier_services.delete_classifier(request.user, found)
    except ServiceError as error:
        show_as_message(request, error)
        return redirect("classifier", pk)
    messages.success(request, f"“{found.name}” is deleted.")
    return redirect("classifiers")
