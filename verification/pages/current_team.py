"""The team whose things the pages show: kept in the session, checked against membership at every request."""

from collections.abc import Callable
from functools import wraps
from typing import Any, Concatenate, ParamSpec
from uuid import UUID

from django.contrib.auth.decorators import login_required
from django.contrib.auth.models import User
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.shortcuts import redirect

from verification.models import Team

P = ParamSpec("P")
_SESSION_KEY = "team"


class TeamPageRequest(HttpRequest):
    """A request of a page behind `team_page`: somebody is logged in."""

    user: User


def current_team(request: HttpRequest) -> Team | None:
    """The team chosen last, if the person still is a member, else their first; None without a team."""
    teams = Team.objects.for_user(request.user)
    chosen = _uuid(request.session.get(_SESSION_KEY))
    found = teams.filter(pk=chosen).first() if chosen else None
    return found or teams.first()


def choose_team(request: HttpRequest, team: Team) -> None:
    """Show `team`'s things from now on."""
    request.session[_SESSION_KEY] = str(team.pk)


def navigation(request: HttpRequest) -> dict[str, Any]:
    """Context processor: the current team and all teams of the person, for the team switcher."""
    user = getattr(request, "user", None)
    if user is None or not user.is_authenticated:
        return {}
    return {"current_team": current_team(request), "user_teams": list(Team.objects.for_user(user))}


def team_page(
    view: Callable[Concatenate[TeamPageRequest, Team, P], HttpResponseBase],
) -> Callable[..., HttpResponseBase]:
    """A page of one team: asks for a login, gives the view the current team, helps whoever has none."""

    @wraps(view)
    def wrapped(request: TeamPageRequest, *args: P.args, **kwargs: P.kwargs) -> HttpResponseBase:
        team = current_team(request)
        if team is None:
            return redirect("teams")
        return view(request, team, *args, **kwargs)

    return login_required(wrapped)


def _uuid(text: object) -> UUID | None:
    try:
        return UUID(str(text))
    except ValueError:
        return None
