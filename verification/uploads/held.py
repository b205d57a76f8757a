"""Classifiers that have come but are not kept yet: what the engine makes of them, and keeping them."""

from typing import Any
from uuid import UUID

from drf_spectacular.utils import extend_schema, inline_serializer
from rest_framework import serializers, status
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from verification.api.requests import OwnField
from verification.models import Video
from verification.services import uploads
from verification.services.errors import ServiceError
from verification.services.uploads import classifier_options
from verification.uploads.views import find_upload, refused

_TEXTS = ("architecture", "labels", "frames", "size", "channels", "sampling", "order", "range", "mean", "std")


class SaveRequest(serializers.Serializer[Any]):
    """What the file does not say, or says wrong; the same texts as in `Upload-Metadata`."""

    architecture = serializers.CharField(required=False, allow_blank=True)
    labels = serializers.CharField(required=False, allow_blank=True, help_text="A JSON list, or one a line.")
    frames = serializers.CharField(required=False, allow_blank=True)
    size = serializers.CharField(required=False, allow_blank=True, help_text="HxW")
    channels = serializers.CharField(required=False, allow_blank=True, help_text="rgb or bgr")
    sampling = serializers.CharField(required=False, allow_blank=True, help_text="uniform, floor or fps:X")
    order = serializers.CharField(required=False, allow_blank=True, help_text="Of the axes, such as ntchw.")
    range = serializers.CharField(required=False, allow_blank=True, help_text="0..1, 0..255 or -1..1")
    mean = serializers.CharField(required=False, allow_blank=True, help_text="Three numbers.")
    std = serializers.CharField(required=False, allow_blank=True, help_text="Three numbers.")


class ProposalRequest(SaveRequest):
    """The same, and a video to try it on."""

    video = OwnField(queryset=Video.objects.all(), required=False, allow_null=True)


_PROPOSAL = inline_serializer(
    "Proposal",
    {
        "sha256": serializers.CharField(),
        "architecture": serializers.CharField(),
        "labels": serializers.ListField(child=serializers.CharField()),
        "frames": serializers.IntegerField(),
        "height": serializers.IntegerField(),
        "width": serializers.IntegerField(),
        "channels": serializers.CharField(),
        "sampling": serializers.CharField(),
        "order": serializers.CharField(),
        "range": serializers.CharField(),
        "mean": serializers.ListField(child=serializers.FloatField(), allow_null=True),
        "deviation": serializers.ListField(child=serializers.FloatField(), allow_null=True),
        "dropped": serializers.ListField(child=serializers.CharField(), help_text="Left out: logits are verified."),
        "classes": serializers.ListField(
            child=serializers.ListField(), required=False, help_text="Label and probability, the most probable first."
        ),
    },
)


class HeldView(APIView):
    """Refusals as those of uploads; the upload stays."""

    def handle_exception(self, exc: Exception) -> Response:
        return refused(exc) if isinstance(exc, ServiceError) else super().handle_exception(exc)


class ProposalView(HeldView):
    """What the engine makes of it."""

    @extend_schema(request=ProposalRequest, responses=_PROPOSAL, tags=["uploads"])
    def post(self, request: Request, pk: UUID) -> Response:
        """Read the classifier as described, and tell the classes of a video; nothing is kept."""
        body = ProposalRequest(data=request.data, context={"request": request})
        body.is_valid(raise_exception=True)
        upload = find_upload(request, pk)
        return Response(uploads.propose(upload, _options(body), body.validated_data.get("video")))


class SaveView(HeldView):
    """Keep it."""

    @extend_schema(
        request=SaveRequest,
        responses={
            201: inline_serializer("Saved", {"kind": serializers.CharField(), "id": serializers.UUIDField()}),
        },
        tags=["uploads"],
    )
    def post(self, request: Request, pk: UUID) -> Response:
        """Keep the classifier as described."""
        body = SaveRequest(data=request.data)
        body.is_valid(raise_exception=True)
        upload = find_upload(request, pk)
        classifier = uploads.save(upload, _options(body))
        return Response({"kind": upload.kind, "id": str(classifier.pk)}, status.HTTP_201_CREATED)


def _options(body: SaveRequest) -> uploads.ClassifierOptions:
    return classifier_options({name: body.validated_data.get(name, "") for name in _TEXTS})
