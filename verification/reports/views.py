"""Report pages: for members with share controls, and behind a share link for everyone who has it."""

from uuid import UUID

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.contrib.auth.models import User
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST, require_safe

from verification.models import ShareLink, Verification
from verification.reports.report import build
from verification.services import shares
from verification.services.errors import ServiceError


class MemberRequest(HttpRequest):
    """A request behind `login_required`."""

    user: User


def _verification(user: User, pk: UUID) -> Verification:
    found = Verification.objects.for_user(user).select_related("video", "classifier", "team")
    return get_object_or_404(found, pk=pk)


@require_safe
@login_required
@never_cache
def verification_report(request: MemberRequest, pk: UUID) -> HttpResponse:
    """The report of a verification of one's team, with the links that share it."""
    verification = _verification(request.user, pk)
    links = ShareLink.objects.filter(verification=verification).select_related("created_by")
    context = {
        "report": build(verification),
        "page_url": reverse("verification", args=[verification.pk]),
        "shares": [
            {"link": link, "url": request.build_absolute_uri(reverse("shared", args=[link.token]))}
            for link in links
            if link.is_open
        ],
    }
    return render(request, "reports/report.html", context)


@require_POST
@login_required
def share_create(request: MemberRequest, pk: UUID) -> HttpResponse:
    """Create a share link from the form on the report."""
    verification = _verification(request.user, pk)
    try:
        shares.create_share(request.user, verification, _days(request.POST.get("days", "")))
    except ServiceError as error:
        messages.error(request, str(error))
    else:
        messages.success(request, "The link is ready: whoever has it can read this report.")
    return redirect("verification-report", pk=verification.pk)


@require_POST
@login_required
def share_revoke(request: MemberRequest, pk: UUID) -> HttpResponse:
    """Close a share link."""
    link = get_object_or_404(ShareLink.objects.for_user(request.user), pk=pk)
    try:
        shares.revoke(request.user, link)
    except ServiceError as error:
        messages.error(request, str(error))
    else:
        messages.success(request, "The link is revoked: it opens nothing any more.")
    return redirect("verification-report", pk=link.verification_id)


@require_safe
@never_cache
def shared(request: HttpRequest, token: str) -> HttpResponse:
    """The report behind a share link. Unknown, expired and revoked links look all the same."""
    try:
        verification = shares.open(token)
    except ServiceError:
        response = render(request, "reports/unavailable.html", status=404)
    else:
        response = render(request, "reports/shared.html", {"report": build(verification, share=token)})
    response.headers["X-Robots-Tag"] = "noindex, nofollow"
    # The address is the key: it must not travel to other sites in a Referer header.
    response.headers["Referrer-Policy"] = "no-referrer"
    return response


def _days(text: str) -> int | None:
    """Days of validity from the form, None for no end. Raises ServiceError."""
    text = text.strip()
    if not text:
        return None
    if not (text.isascii() and text.isdigit() and len(text) <= 6):
        raise ServiceError("Give the days of validity as a whole number.", "days")
    return int(text)
