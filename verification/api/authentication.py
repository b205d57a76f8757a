"""Personal tokens, `Authorization: Bearer <token>`, and how the schema describes both ways of signing in."""

from django.contrib.auth.models import User
from drf_spectacular.extensions import OpenApiAuthenticationExtension
from rest_framework.authentication import BaseAuthentication, get_authorization_header
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.request import Request

from verification.services import tokens


class BearerAuthentication(BaseAuthentication):
    """Logs in the owner of a token; an unknown, revoked or expired one is 401, never anonymous."""

    keyword = "Bearer"

    def authenticate(self, request: Request) -> tuple[User, str] | None:
        """The user and the token, or None when the request carries no bearer token at all."""
        words = get_authorization_header(request).split()
        if not words or words[0].lower() != b"bearer":
            return None
        if len(words) != 2:
            raise AuthenticationFailed("The header must read: Authorization: Bearer <token>")
        plain = words[1].decode("latin-1")
        user = tokens.authenticate(plain)
        if user is None:
            raise AuthenticationFailed("This token is unknown, revoked or expired; create a new one.")
        return user, plain

    def authenticate_header(self, request: Request) -> str:
        """The challenge that makes a refusal 401 instead of 403."""
        return f'{self.keyword} realm="api"'


class BearerScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    """A personal token."""

    target_class = "verification.api.authentication.BearerAuthentication"
    name = "bearer"

    def get_security_definition(self, auto_schema: object) -> dict[str, str]:
        """An HTTP bearer scheme; the token is opaque."""
        return {"type": "http", "scheme": "bearer", "description": "A personal token from the token page."}


class SessionScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    """A browser session. The cookie's real name differs between instances; the schema must not."""

    target_class = "rest_framework.authentication.SessionAuthentication"
    name = "session"

    def get_security_definition(self, auto_schema: object) -> dict[str, str]:
        """An API key in a cookie."""
        return {
            "type": "apiKey",
            "in": "cookie",
            "name": "flowverify_session",
            "description": "The session of a browser; writing needs its CSRF token as well.",
        }
