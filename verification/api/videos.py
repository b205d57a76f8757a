"""Videos; they come in through uploads/."""

from typing import Any

from django.db.models.fields.files import FieldFile
from django.http import Http404, HttpResponse
from django.http.response import HttpResponseBase
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema, inline_serializer
from rest_framework import mixins, serializers, status
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from verification.api.artifacts import AnyType
from verification.api.base import ScopedViewSet
from verification.api.ranged import Content, ranged_response
from verification.api.requests import FlowQuery, FramesQuery, SampleQuery
from verification.api.serializers import VideoSerializer
from verification.models import Video
from verification.services import deleting, videos

_PICTURE = {(200, "image/jpeg"): OpenApiTypes.BINARY}
#: Pictures of a video never change.
_KEPT = "private, max-age=86400, immutable"

_FLOW = inline_serializer(
    "Flow",
    {
        "scale": serializers.FloatField(help_text="Pixels: vectors of this length are drawn longest or brightest."),
        "median": serializers.FloatField(help_text="Pixels: the median length of its vectors."),
        "height": serializers.IntegerField(help_text="Of the frames on which it was extracted."),
        "width": serializers.IntegerField(),
        "pictures": serializers.DictField(
            child=serializers.CharField(), help_text="PNG as data URL: frame, arrows, direction, magnitude."
        ),
    },
)


class VideoViewSet(mixins.ListModelMixin, mixins.RetrieveModelMixin, ScopedViewSet[Video]):
    """The videos of the person's teams."""

    queryset = Video.objects.all()
    serializer_class = VideoSerializer
    filterset_fields = ["team", "sha256", "class_name"]
    ordering_fields = ["created_at", "name", "bytes", "frames"]

    @extend_schema(responses={204: None})
    def destroy(self, request: Request, pk: str) -> Response:
        """Delete the video; refused with 409 while a verification uses it."""
        deleting.delete_video(self.person, self.get_object())
        return Response(status=status.HTTP_204_NO_CONTENT)

    @extend_schema(responses=_PICTURE)
    @action(detail=True, methods=["get"], content_negotiation_class=AnyType)
    def strip(self, request: Request, pk: str) -> HttpResponseBase:
        """Some of its frames, from the first to the last, side by side."""
        return _file(request, self.get_object().strip, "image/jpeg")

    @extend_schema(responses={(200, "video/webm"): OpenApiTypes.BINARY, (206, "video/webm"): OpenApiTypes.BINARY})
    @action(detail=True, methods=["get"], content_negotiation_class=AnyType)
    def preview(self, request: Request, pk: str) -> HttpResponseBase:
        """A small copy that any browser plays; of a long video not every frame."""
        return _file(request, self.get_object().preview, "video/webm")

    @extend_schema(
        parameters=[SampleQuery],
        responses=inline_serializer(
            "Sample",
            {
                "numbers": serializers.ListField(child=serializers.IntegerField(), help_text="From 1."),
                "seconds": serializers.ListField(
                    child=serializers.FloatField(), allow_null=True, help_text="Since the video's start; null: no rate."
                ),
            },
        ),
    )
    @action(detail=True, methods=["get"], filterset_fields=None, pagination_class=None)
    def sample(self, request: Request, pk: str) -> Response:
        """Which frames of it would make a clip."""
        video, query = self.get_object(), SampleQuery(data=request.query_params)
        query.is_valid(raise_exception=True)
        numbers = videos.sample(video, **query.validated_data)
        seconds = [(number - 1) / video.fps for number in numbers] if video.fps > 0 else None
        return Response({"numbers": numbers, "seconds": seconds})

    @extend_schema(parameters=[FramesQuery], responses=_PICTURE)
    @action(detail=True, methods=["get"], content_negotiation_class=AnyType)
    def frames(self, request: Request, pk: str) -> HttpResponseBase:
        """Chosen frames of it, side by side."""
        query: Any = FramesQuery(data=request.query_params)
        query.is_valid(raise_exception=True)
        picture = videos.draw(self.get_object(), [int(number) for number in query.validated_data["numbers"].split(",")])
        return HttpResponse(picture, content_type="image/jpeg", headers={"Cache-Control": _KEPT})

    @extend_schema(parameters=[FlowQuery], responses=_FLOW)
    @action(detail=True, methods=["get"], filterset_fields=None, pagination_class=None)
    def flow(self, request: Request, pk: str) -> Response:
        """The optical flow between two of its frames, in pictures."""
        video, query = self.get_object(), FlowQuery(data=request.query_params)
        query.is_valid(raise_exception=True)
        first = query.validated_data["first"]
        drawn = videos.flow(video, first, query.validated_data.get("second", first + 1))
        pictures = {name: f"data:image/png;base64,{data}" for name, data in drawn["pictures"].items()}
        return Response(drawn | {"pictures": pictures}, headers={"Cache-Control": _KEPT})


def _file(request: Request, field: FieldFile, content_type: str) -> HttpResponseBase:
    """A picture file of a video, if there is one."""
    if not field.name:
        raise Http404
    try:
        file = field.open("rb")
    except FileNotFoundError:
        raise Http404 from None
    name = field.name.rsplit("/", 1)[-1]
    response = ranged_response(request._request, Content(file, content_type, name, f'"{name}"'))
    response["Cache-Control"] = _KEPT
    return response
