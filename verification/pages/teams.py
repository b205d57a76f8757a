"""Teams: who is in them, the links that let people in, and which team the pages show."""

from uuid import UUID

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.contrib.auth.models import User
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_POST

from verification.models import Invitation, Membership, Team
from verification.pages.current_team import TeamPageRequest, choose_team, current_team, team_page
from verification.pages.forms import InvitationForm, TeamForm
from verification.pages.refusals import show_as_message, show_on_form
from verification.services import teams as team_services
from verification.services.errors import ServiceError


@require_http_methods(["GET", "HEAD", "POST"])
@login_required
def teams(request: TeamPageRequest) -> HttpResponse:
    """The current team with its members and open invitations; a POST creates another team."""
    form = TeamForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        try:
            team = team_services.create_team(request.user, form.cleaned_data["name"])
        except ServiceError as error:
            show_on_form(form, error)
        else:
            choose_team(request, team)
            messages.success(request, f"The team “{team.name}” is created.")
            return redirect("teams")
    return render(request, "pages/teams.html", _context(request, form), status=400 if form.is_bound else 200)


def _context(request: TeamPageRequest, form: TeamForm) -> dict[str, object]:
    team = current_team(request)
    context: dict[str, object] = {"form": form, "invitation_form": InvitationForm()}
    if team is None:
        return context
    own = Membership.objects.get(team=team, user=request.user)
    is_owner = own.role == Membership.Role.OWNER
    context |= {
        "members": team.memberships.select_related("user").order_by("user__username"),
        "is_owner": is_owner,
        "invitations": _open_invitations(request, team) if is_owner else [],
    }
    return context


def _open_invitations(request: HttpRequest, team: Team) -> list[tuple[Invitation, str]]:
    """Invitations that still work, each with its whole address."""
    found = Invitation.objects.filter(team=team, revoked_at=None).select_related("created_by")
    return [
        (invitation, request.build_absolute_uri(reverse("invitation", args=[invitation.token])))
        for invitation in found
        if invitation.is_open
    ]


@require_POST
@login_required
def switch(request: TeamPageRequest) -> HttpResponse:
    """Show another team's things."""
    found = Team.objects.for_user(request.user)
    try:
        team = get_object_or_404(found, pk=UUID(request.POST.get("team", "")))
    except ValueError:
        return redirect("teams")
    choose_team(request, team)
    return redirect("dashboard")


@require_POST
@team_page
def invite(request: TeamPageRequest, team: Team) -> HttpResponse:
    """Create an invitation link to the current team."""
    form = InvitationForm(request.POST)
    if not form.is_valid():
        messages.error(request, "Choose for how long the invitation is valid.")
        return redirect("teams")
    try:
        team_services.invite(request.user, team, form.cleaned_data["days"])
    except ServiceError as error:
        show_as_message(request, error)
    else:
        messages.success(request, "The invitation is ready: send its link to the person you want to let in.")
    return redirect("teams")


@require_POST
@login_required
def revoke_invitation(request: TeamPageRequest, pk: UUID) -> HttpResponse:
    """Close an invitation link."""
    invitation = get_object_or_404(Invitation.objects.for_user(request.user), pk=pk)
    try:
        team_services.revoke_invitation(request.user, invitation)
    except ServiceError as error:
        show_as_message(request, error)
    else:
        messages.success(request, "The invitation is revoked. Whoever has joined with it stays.")
    return redirect("teams")


@require_http_methods(["GET", "HEAD", "POST"])
@login_required
def invitation(request: TeamPageRequest, token: str) -> HttpResponse:
    """Ask before joining, then join: only opening a link changes nothing."""
    user: User = request.user
    try:
        found = team_services.open_invitation(token)
        if request.method == "POST":
            membership = team_services.accept_invitation(user, token)
            choose_team(request, membership.team)
            messages.success(request, f"You are now a member of “{membership.team.name}”.")
            return redirect("dashboard")
    except ServiceError as error:
        return render(request, "pages/invitation.html", {"error": str(error)}, status=404)
    member = Membership.objects.filter(team=found.team, user=user).exists()
    return render(request, "pages/invitation.html", {"invitation": found, "member": member})
