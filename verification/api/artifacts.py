"""The bytes of pictures, flows and clips."""

from typing import Any

from django.http import Http404
from django.http.response import HttpResponseBase
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework.decorators import action
from rest_framework.exceptions import NotAuthenticated
from rest_framework.negotiation import BaseContentNegotiation
from rest_framework.permissions import AllowAny
from rest_framework.renderers import BaseRenderer
from rest_framework.request import Request

from verification.api.base import ScopedViewSet
from verification.api.ranged import Content, ranged_response
from verification.api.serializers import ArtifactSerializer
from verification.models import Artifact
from verification.services import shares
from verification.services.errors import ServiceError


class AnyType(BaseContentNegotiation):
    """The file has the type it has, whatever the client would prefer; refusals are JSON."""

    def select_parser(self, request: Request, parsers: Any) -> Any:
        return parsers[0]

    def select_renderer(
        self, request: Request, renderers: Any, format_suffix: str | None = None
    ) -> tuple[BaseRenderer, str]:
        return renderers[0], renderers[0].media_type


class ArtifactViewSet(ScopedViewSet[Artifact]):
    """Contents only: `verifications/ID/artifacts/` lists them."""

    queryset = Artifact.objects.select_related("verification")
    serializer_class = ArtifactSerializer

    @extend_schema(
        parameters=[
            OpenApiParameter("share", str, description="A share link's token, instead of an account."),
            OpenApiParameter("Range", str, OpenApiParameter.HEADER, description="One range of bytes."),
        ],
        responses={
            (200, "application/octet-stream"): OpenApiTypes.BINARY,
            (206, "application/octet-stream"): OpenApiTypes.BINARY,
            304: OpenApiResponse(description="Unchanged since the given ETag."),
            416: OpenApiResponse(description="The range lies behind the end."),
        },
    )
    @action(detail=True, methods=["get"], permission_classes=[AllowAny], content_negotiation_class=AnyType)
    def content(self, request: Request, pk: str) -> HttpResponseBase:
        """The file itself, or a range of it."""
        artifact = self._readable(request, pk)
        try:
            file = artifact.file.open("rb")
        except FileNotFoundError:
            raise Http404 from None
        return ranged_response(
            request._request,
            Content(
                file=file,
                content_type=artifact.content_type,
                filename=artifact.name,
                etag=f'"{artifact.pk.hex}-{artifact.revision}"',
            ),
        )

    def _readable(self, request: Request, pk: str) -> Artifact:
        """The artifact, by membership or by a share link of its verification; otherwise it does not exist."""
        token = request.query_params.get("share")
        found = self.get_queryset().filter(pk=pk).first()
        if found is None and token:
            found = self._shared(token, pk)
        if found is not None:
            return found
        if not token and not request.user.is_authenticated:
            raise NotAuthenticated
        raise Http404

    def _shared(self, token: str, pk: str) -> Artifact | None:
        try:
            verification = shares.open(token)
        except ServiceError:
            return None
        return Artifact.objects.filter(pk=pk, verification=verification).first()
