"""Videos and classifiers: what the team has uploaded, each with a page of its own."""

import json
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

from django.contrib import messages
from django.core.paginator import Page, Paginator
from django.db.models import Count, Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.views.decorators.http import require_POST, require_safe

from verification.engine.clip import VIDEO_SUFFIXES
from verification.engine.network import ARCHITECTURES
from verification.models import Classifier, Team, Video
from verification.pages.current_team import TeamPageRequest, team_page
from verification.pages.refusals import show_as_message
from verification.pages.rows import queue_positions, rows
from verification.services import deleting
from verification.services.errors import ServiceError

PAGE_SIZE = 50
_VIDEO_FILES = ",".join([*sorted(VIDEO_SUFFIXES), "video/*"])
_CLASSIFIER_FILES = ".onnx,.safetensors"


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


def _page(request: HttpRequest, found: QuerySet[Any]) -> Page[Any]:
    """One page of `found`, newest first, each with the number of its verifications in `uses`."""
    # Counting drops the order of the model: it has to be said again.
    counted = found.annotate(uses=Count("verifications")).order_by("-created_at", "name")
    return Paginator(counted, PAGE_SIZE).get_page(request.GET.get("page"))


@require_safe
@team_page
def videos(request: TeamPageRequest, team: Team) -> HttpResponse:
    """All videos of the team, or those whose name or class is searched for, and the upload."""
    found = Video.objects.for_user(request.user).filter(team=team)
    searched = request.GET.get("q", "").strip()[:200]
    if searched:
        found = found.filter(Q(name__icontains=searched) | Q(class_name__icontains=searched))
    context = {
        "page": _page(request, found),
        "searched": searched,
        "query": urlencode({"q": searched}) if searched else "",
        "upload": _upload_props(team, "video", _VIDEO_FILES, "videos"),
    }
    return render(request, "pages/videos.html", context)


@require_safe
@team_page
def classifiers(request: TeamPageRequest, team: Team) -> HttpResponse:
    """All classifiers of the team, and the upload."""
    found = Classifier.objects.for_user(request.user).filter(team=team)
    context = {
        "page": _page(request, found),
        "upload": _upload_props(
            team,
            "classifier",
            _CLASSIFIER_FILES,
            "classifiers",
            architectures=sorted(ARCHITECTURES),
            videos=reverse("api:video-list"),
        ),
    }
    return render(request, "pages/classifiers.html", context)


@require_safe
@team_page
def video(request: TeamPageRequest, team: Team, pk: UUID) -> HttpResponse:
    """What is known about one video, and where it is used. Opens for every team of the person."""
    found = get_object_or_404(Video.objects.for_user(request.user), pk=pk)
    used = found.verifications.select_related("video", "classifier")
    flow = {"video": reverse("api:video-detail", args=[found.pk]), "frames": found.frames}
    context = {"video": found, "rows": rows(used, queue_positions()), "flow": json.dumps(flow)}
    return render(request, "pages/video.html", context)


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
        deleting.delete_video(request.user, found)
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
        deleting.delete_classifier(request.user, found)
    except ServiceError as error:
        show_as_message(request, error)
        return redirect("classifier", pk)
    messages.success(request, f"“{found.name}” is deleted.")
    return redirect("classifiers")
