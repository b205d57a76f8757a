"""Videos; they come in through uploads/."""

from drf_spectacular.utils import extend_schema
from rest_framework import mixins, status
from rest_framework.request import Request
from rest_framework.response import Response

from verification.api.base import ScopedViewSet
from verification.api.serializers import VideoSerializer
from verification.models import Video
from verification.services import deleting


class VideoViewSet(mixins.ListModelMixin, mixins.RetrieveModelMixin, ScopedViewSet[Video]):
    """The videos of the person's teams."""

    queryset = Video.objects.all()
    serializer_class = VideoSerializer
    filterset_fields = ["team", "sha256"]
    ordering_fields = ["created_at", "name", "bytes", "frames"]

    @extend_schema(responses={204: None})
    def destroy(self, request: Request, pk: str) -> Response:
        """Delete the video; refused with 409 while a verification uses it."""
        deleting.delete_video(self.person, self.get_object())
        return Response(status=status.HTTP_204_NO_CONTENT)
