"""Who may watch a verification: asked when a socket opens and again while it is open."""

from dataclasses import dataclass
from enum import IntEnum
from importlib import import_module
from typing import Any
from urllib.parse import parse_qs
from uuid import UUID

from channels.auth import get_user
from channels.db import database_sync_to_async
from django.conf import settings
from django.contrib.auth.models import AnonymousUser, User

from verification.models import Verification
from verification.services import shares
from verification.services.errors import ServiceError


class CloseCode(IntEnum):
    """Why the server closes a socket; the browser does not connect again on any of them."""

    NOT_LOGGED_IN = 4401
    NOT_ALLOWED = 4403
    NOT_FOUND = 4404


@dataclass(frozen=True)
class Refused(Exception):
    """The socket must be closed with this code."""

    code: CloseCode


async def check_access(scope: dict[str, Any], verification_id: UUID) -> None:
    """Raise `Refused` unless the session, or the share link in the query string, opens this verification.

    The session is read again from the database: a logout, a changed password and a lost membership count at
    once.
    """
    query = parse_qs(scope.get("query_string", b"").decode("latin-1"))
    if token := query.get("share", [""])[0]:
        await _check_share(token, verification_id)
    else:
        await _check_user(await _current_user(scope), verification_id)


@database_sync_to_async
def _check_share(token: str, verification_id: UUID) -> None:
    try:
        opened = shares.open(token)
    except ServiceError as error:
        raise Refused(CloseCode.NOT_ALLOWED) from error
    if opened.pk != verification_id:
        raise Refused(CloseCode.NOT_ALLOWED)


@database_sync_to_async
def _check_user(user: User | AnonymousUser, verification_id: UUID) -> None:
    if not user.is_authenticated:
        raise Refused(CloseCode.NOT_LOGGED_IN)
    if not Verification.objects.for_user(user).filter(pk=verification_id).exists():
        raise Refused(CloseCode.NOT_FOUND)  # also for one of another team: what exists there is nobody's business


async def _current_user(scope: dict[str, Any]) -> User | AnonymousUser:
    session = scope.get("session")
    if session is None or session.session_key is None:
        return AnonymousUser()
    store = import_module(settings.SESSION_ENGINE).SessionStore
    return await get_user({"session": store(session.session_key)})
