"""Classifiers; they come in through uploads/."""

from drf_spectacular.utils import extend_schema
from rest_framework import mixins, status
from rest_framework.request import Request
from rest_framework.response import Response

from verification.api.base import ScopedViewSet
from verification.api.serializers import ClassifierSerializer
from verification.models import Classifier
from verification.services import deleting


class ClassifierViewSet(mixins.ListModelMixin, mixins.RetrieveModelMixin, ScopedViewSet[Classifier]):
    """The classifiers of the person's teams."""

    queryset = Classifier.objects.all()
    serializer_class = ClassifierSerializer
    filterset_fields = ["team", "sha256", "architecture"]
    ordering_fields = ["created_at", "name", "bytes"]

    @extend_schema(responses={204: None})
    def destroy(self, request: Request, pk: str) -> Response:
        """Delete the classifier; refused with 409 while a verification uses it."""
        deleting.delete_classifier(self.person, self.get_object())
        return Response(status=status.HTTP_204_NO_CONTENT)
