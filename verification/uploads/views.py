"""Uploads in raw pieces, for pages and programs alike; any tus 1.0 client speaks this.

The views are synchronous: each request runs in a thread of its own, so neither writing to the disk nor
inspecting a video stops the event loop. Send pieces of about 8 MB: the server holds one at a time.
"""

import json
from typing import Any
from uuid import UUID

from django.conf import settings
from django.contrib.auth.models import User
from django.http import Http404
from django.urls import reverse
from rest_framework import status
from rest_framework.permissions import AllowAny, BasePermission, IsAuthenticated
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from verification.models import Team, Upload
from verification.services import uploads
from verification.services.errors import Invalid, NotAllowed, ServiceError, Unavailable
from verification.uploads import protocol

#: First match counts.
_STATUS: tuple[tuple[type[ServiceError], int], ...] = (
    (NotAllowed, status.HTTP_403_FORBIDDEN),
    (Unavailable, status.HTTP_503_SERVICE_UNAVAILABLE),
    (uploads.Refused, status.HTTP_422_UNPROCESSABLE_ENTITY),
    (uploads.TooLarge, status.HTTP_413_REQUEST_ENTITY_TOO_LARGE),
    (uploads.TooMany, status.HTTP_429_TOO_MANY_REQUESTS),
    (uploads.Busy, status.HTTP_423_LOCKED),
    (uploads.WrongOffset, status.HTTP_409_CONFLICT),
    (ServiceError, status.HTTP_400_BAD_REQUEST),
)


class TusView(APIView):
    """What both views share: the version, headers on every answer, refusals as `{"detail": ...}`."""

    schema = None  # described in verification.api.schema: OpenAPI cannot derive a protocol of headers

    def get_permissions(self) -> list[BasePermission]:
        """Everyone may ask what the server speaks."""
        return [AllowAny() if self.request.method == "OPTIONS" else IsAuthenticated()]

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        """Refuse another version of the protocol before anything else happens."""
        super().initial(request, *args, **kwargs)
        if request.method != "OPTIONS" and request.headers.get("Tus-Resumable") != protocol.VERSION:
            raise WrongVersion(f"This server speaks tus {protocol.VERSION}; send it in the header Tus-Resumable.")

    def options(self, request: Any, *args: Any, **kwargs: Any) -> Response:
        """What this server can do."""
        headers = {
            "Tus-Version": protocol.VERSION,
            "Tus-Extension": protocol.EXTENSIONS,
            "Tus-Max-Size": str(settings.FLOWVERIFY_MAX_UPLOAD_BYTES),
        }
        return Response(status=status.HTTP_204_NO_CONTENT, headers=headers)

    def handle_exception(self, exc: Exception) -> Response:
        """Refusals of services, as statuses that tus clients understand."""
        if isinstance(exc, WrongVersion):
            headers = {"Tus-Version": protocol.VERSION}
            return Response({"detail": exc.message}, status.HTTP_412_PRECONDITION_FAILED, headers=headers)
        return refused(exc) if isinstance(exc, ServiceError) else super().handle_exception(exc)

    def finalize_response(self, request: Request, response: Any, *args: Any, **kwargs: Any) -> Response:
        """Every answer names the version and is never cached."""
        answer: Response = super().finalize_response(request, response, *args, **kwargs)
        answer["Tus-Resumable"] = protocol.VERSION
        answer["Cache-Control"] = "no-store"
        return answer


class WrongVersion(ServiceError):
    """The client speaks another version of the protocol."""


class UploadsView(TusView):
    """Where an upload begins."""

    def post(self, request: Request) -> Response:
        """Announce a file: `Upload-Length`, and `Upload-Metadata` with filename, kind, team and options."""
        if request.headers.get("Upload-Defer-Length"):
            raise Invalid("Say the length of the file in Upload-Length when the upload begins.")
        length = protocol.read_number(request.headers, "Upload-Length")
        metadata = protocol.read_metadata(request.headers.get("Upload-Metadata", ""))
        user = person(request)
        upload = uploads.begin(
            user,
            _team(user, metadata.pop("team", "")),
            metadata.pop("kind", ""),
            metadata.pop("filename", ""),
            length,
            metadata,
        )
        location = reverse("upload", args=[upload.pk])
        return Response(status=status.HTTP_201_CREATED, headers={"Location": location})


class UploadView(TusView):
    """One upload; only the person who began it sees it."""

    def head(self, request: Request, pk: UUID) -> Response:
        """How far it is."""
        upload = find_upload(request, pk)
        headers = {"Upload-Offset": str(upload.offset), "Upload-Length": str(upload.length)}
        return Response(status=status.HTTP_200_OK, headers=headers | _result(upload))

    def patch(self, request: Request, pk: UUID) -> Response:
        """The next piece. With the last one, `Upload-Result` says what the file has become."""
        if request.content_type != protocol.CONTENT_TYPE:
            detail = f"Send the bytes as {protocol.CONTENT_TYPE}."
            return Response({"detail": detail}, status.HTTP_415_UNSUPPORTED_MEDIA_TYPE)
        offset = protocol.read_number(request.headers, "Upload-Offset")
        upload = find_upload(request, pk)
        # The request underneath, read as a stream: DRF would look for a parser, `body` would load it all.
        uploads.append(upload, offset, request._request)
        headers = {"Upload-Offset": str(upload.offset)}
        return Response(status=status.HTTP_204_NO_CONTENT, headers=headers | _result(upload))

    def delete(self, request: Request, pk: UUID) -> Response:
        """Give it up."""
        uploads.abort(find_upload(request, pk))
        return Response(status=status.HTTP_204_NO_CONTENT)


def person(request: Request) -> User:
    """Who is logged in; the permission has been checked."""
    if not isinstance(request.user, User):
        raise NotAllowed("Log in first.")
    return request.user


def _team(user: User, text: str) -> Team:
    """The team called by its id, or the only one of the person."""
    teams = Team.objects.for_user(user)
    if not text:
        found = list(teams[:2])
        if len(found) == 1:
            return found[0]
        raise Invalid("Name the team to which the file shall belong, by its id.", "team")
    try:
        team = teams.filter(pk=UUID(text)).first()
    except ValueError:
        team = None
    if team is None:
        raise Invalid("You are not a member of such a team.", "team")
    return team


def refused(error: ServiceError) -> Response:
    """A service's refusal."""
    code = next(code for kind, code in _STATUS if isinstance(error, kind))
    return Response({"detail": error.message}, code)


def find_upload(request: Request, pk: UUID) -> Upload:
    """The person's own upload. Raises Http404."""
    upload = Upload.objects.for_user(request.user).filter(pk=pk, user=person(request)).first()
    if upload is None:
        raise Http404("There is no such upload.")
    return upload


def _result(upload: Upload) -> dict[str, str]:
    """The header that tells what a complete upload has become."""
    if upload.result_id is None:
        return {}
    return {"Upload-Result": json.dumps({"kind": upload.kind, "id": str(upload.result_id)})}
