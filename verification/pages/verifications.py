"""Starting a verification, watching it, and stopping it without JavaScript."""

import json
from typing import Any
from uuid import UUID

from django.contrib import messages
from django.db.models import Max
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from verification.api.serializers import (
    ArtifactSerializer,
    BoundSerializer,
    EventSerializer,
    verification_payload,
)
from verification.engine.perturbation import unit_of
from verification.models import Classifier, Team, Verification, Video
from verification.pages.current_team import TeamPageRequest, team_page
from verification.pages.forms import VerificationForm
from verification.pages.refusals import show_as_message, show_on_form
from verification.pages.rows import queue_positions, rows
from verification.pages.space_choices import as_answers
from verification.reports import certificates, examples, figures, wording
from verification.reports.report import facts_of
from verification.services import deleting
from verification.services import verifications as verification_services
from verification.services.errors import ServiceError

#: Points that travel inside the page; the browser fetches the rest by number.
POINTS_IN_PAGE = 2000


@require_http_methods(["GET", "HEAD", "POST"])
@team_page
def new(request: TeamPageRequest, team: Team) -> HttpResponse:
    """Ask the form's questions and start the verification."""
    if request.method != "POST":
        asked = {name: request.GET[name] for name in ("video", "classifier") if name in request.GET}
        asked |= as_answers(request.GET.get("space", ""))
        return _form_page(request, team, VerificationForm(request.user, team, initial=asked))
    form = VerificationForm(request.user, team, request.POST)
    if form.is_valid():
        try:
            started = verification_services.create_verification(request.user, **form.cleaned_data)
        except ServiceError as error:
            show_on_form(form, error)
        else:
            return redirect("verification", started.pk)
    return _form_page(request, team, form, status=400)


def _form_page(request: TeamPageRequest, team: Team, form: VerificationForm, status: int = 200) -> HttpResponse:
    missing = [
        noun
        for noun, model in (("video", Video), ("classifier", Classifier))
        if not model.objects.for_user(request.user).filter(team=team).exists()
    ]
    sampling = {"videos": reverse("api:video-list"), "classifiers": reverse("api:classifier-list")}
    context = {"form": form, "missing": missing, "sampling": json.dumps(sampling)}
    return render(request, "pages/verification_new.html", context, status=status)


@require_safe
@team_page
def live(request: TeamPageRequest, team: Team, pk: UUID) -> HttpResponse:
    """One verification as it moves. Opens for every team of the person."""
    found = Verification.objects.for_user(request.user).select_related("video", "classifier")
    verification = get_object_or_404(found, pk=pk)
    positions = queue_positions() if verification.status == Verification.Status.QUEUED else {}
    unit, facts = unit_of(verification.space), facts_of(verification)
    context = {
        "verification": verification,
        "facts": facts,
        "row": rows([verification], positions)[0],
        "radius": None if verification.radius is None else unit.plain(verification.radius),
        "pair": wording.pair(facts),
        "certificate": certificates.part(verification, facts, verification.artifacts.all(), figures.addresses()),
        "props": json.dumps(_live_props(verification, positions.get(verification.pk))),
    }
    return render(request, "pages/verification.html", context)


def _live_props(verification: Verification, position: int | None) -> dict[str, Any]:
    """What the live island begins with, in the API's own JSON."""
    # The first points, not the last: the browser asks for what comes after a number.
    points = verification.bounds.order_by("number")[:POINTS_IN_PAGE]
    return {
        "verification": verification_payload(verification),
        "points": list(BoundSerializer(points, many=True).data),
        "lastNumber": verification.bounds.aggregate(last=Max("number"))["last"] or 0,
        "events": list(EventSerializer(verification.events.order_by("number")[:POINTS_IN_PAGE], many=True).data),
        "artifacts": [dict(one) for one in ArtifactSerializer(verification.artifacts.all(), many=True).data],
        "report": reverse("verification-report", args=[verification.pk]),
        "queuePosition": position,
        "certificate": certificates.explained(verification) if verification.certificate else None,
        "example": examples.explained(),
        "files": figures.offered(),
    }


@require_POST
@team_page
def cancel(request: TeamPageRequest, team: Team, pk: UUID) -> HttpResponse:
    """Stop it and keep its bounds; the live page does the same by REST."""
    verification = get_object_or_404(Verification.objects.for_user(request.user), pk=pk)
    try:
        verification_services.cancel(request.user, verification)
    except ServiceError as error:
        show_as_message(request, error)
    return redirect("verification", pk)


@require_POST
@team_page
def delete(request: TeamPageRequest, team: Team, pk: UUID) -> HttpResponse:
    """Delete a verification that has ended, with all that it recorded."""
    verification = get_object_or_404(Verification.objects.for_user(request.user), pk=pk)
    try:
        deleting.delete_verification(request.user, verification)
    except ServiceError as error:
        show_as_message(request, error)
        return redirect("verification", pk)
    messages.success(request, f"“{verification}” is deleted.")
    return redirect("dashboard")
