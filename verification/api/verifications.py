"""Verifications: ask, watch, stop, share."""

from typing import Any

from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema
from rest_framework import mixins, status
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.serializers import ModelSerializer

from verification.api.base import ScopedViewSet
from verification.api.requests import AfterQuery, DaysRequest, VerificationRequest
from verification.api.serializers import (
    ArtifactSerializer,
    BoundSerializer,
    BoundsSerializer,
    EventSerializer,
    EventsSerializer,
    ShareLinkSerializer,
    VerificationSerializer,
)
from verification.models import Bound, Event, Verification
from verification.services import deleting, shares, verifications

#: Rows of one answer of bounds/ and events/.
MOST_ROWS = 10_000


class VerificationViewSet(mixins.ListModelMixin, mixins.RetrieveModelMixin, ScopedViewSet[Verification]):
    """The verifications of the person's teams."""

    queryset = Verification.objects.select_related("video", "classifier")
    serializer_class = VerificationSerializer
    filterset_fields = {
        "status": ["exact", "in"],
        "team": ["exact"],
        "video": ["exact"],
        "classifier": ["exact"],
        "norm": ["exact"],
        "space": ["exact"],
    }
    ordering_fields = ["created_at", "started_at", "finished_at", "status", "lower", "upper", "elapsed"]

    @extend_schema(request=VerificationRequest, responses={201: VerificationSerializer})
    def create(self, request: Request) -> Response:
        """Ask for a verification; it is queued at once."""
        body = VerificationRequest(data=request.data, context=self.get_serializer_context())
        body.is_valid(raise_exception=True)
        verification = verifications.create_verification(self.person, **body.validated_data)
        return Response(VerificationSerializer(verification).data, status.HTTP_201_CREATED)

    @extend_schema(responses={204: None})
    def destroy(self, request: Request, pk: str) -> Response:
        """Delete it with all that it recorded; refused with 409 while it is queued or running."""
        deleting.delete_verification(self.person, self.get_object())
        return Response(status=status.HTTP_204_NO_CONTENT)

    @extend_schema(request=None, responses=VerificationSerializer)
    @action(detail=True, methods=["post"])
    def cancel(self, request: Request, pk: str) -> Response:
        """Stop it and keep its bounds. The worker needs a moment: `cancel_requested` is true until then."""
        verification = self.get_object()
        verifications.cancel(self.person, verification)
        verification.refresh_from_db()
        return Response(VerificationSerializer(verification).data)

    @extend_schema(parameters=[AfterQuery], responses=BoundsSerializer)
    @action(detail=True, methods=["get"], filterset_fields=None, pagination_class=None)
    def bounds(self, request: Request, pk: str) -> Response:
        """The recorded points after number `after`, at most 10,000 of them."""
        return _numbered(request, Bound.objects.filter(verification=self.get_object()), BoundSerializer)

    @extend_schema(parameters=[AfterQuery], responses=EventsSerializer)
    @action(detail=True, methods=["get"], filterset_fields=None, pagination_class=None)
    def events(self, request: Request, pk: str) -> Response:
        """The recorded events after number `after`, at most 10,000 of them."""
        return _numbered(request, Event.objects.filter(verification=self.get_object()), EventSerializer)

    @extend_schema(responses=ArtifactSerializer(many=True))
    @action(detail=True, methods=["get"], filterset_fields=None, pagination_class=None)
    def artifacts(self, request: Request, pk: str) -> Response:
        """All pictures and files; `url` leads to the contents."""
        found = self.get_object().artifacts.order_by("kind", "flow")
        return Response(ArtifactSerializer(found, many=True).data)

    @extend_schema(request=DaysRequest, responses={201: ShareLinkSerializer})
    @action(detail=True, methods=["post"])
    def share(self, request: Request, pk: str) -> Response:
        """Create a link that opens the report without an account."""
        verification = self.get_object()
        body = DaysRequest(data=request.data)
        body.is_valid(raise_exception=True)
        link = shares.create_share(self.person, verification, **body.validated_data)
        shown = ShareLinkSerializer(link, context=self.get_serializer_context())
        return Response(shown.data, status.HTTP_201_CREATED)


def _numbered(request: Request, rows: QuerySet[Any], serializer: type[ModelSerializer[Any]]) -> Response:
    """Rows with a number above `?after=`, in order, and how to go on."""
    query = AfterQuery(data=request.query_params)
    query.is_valid(raise_exception=True)
    after: int = query.validated_data["after"]
    found = list(rows.filter(number__gt=after).order_by("number")[: MOST_ROWS + 1])
    shown = found[:MOST_ROWS]
    return Response(
        {
            "results": serializer(shown, many=True).data,
            "next_after": shown[-1].number if shown else after,
            "more": len(found) > MOST_ROWS,
        }
    )
