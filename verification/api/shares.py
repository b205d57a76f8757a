"""Links that open one report without an account."""

from drf_spectacular.utils import extend_schema
from rest_framework import mixins, status
from rest_framework.request import Request
from rest_framework.response import Response

from verification.api.base import ScopedViewSet
from verification.api.serializers import ShareLinkSerializer
from verification.models import ShareLink
from verification.services import shares


class ShareViewSet(mixins.ListModelMixin, mixins.RetrieveModelMixin, ScopedViewSet[ShareLink]):
    """The share links of the person's teams, revoked and expired ones included."""

    queryset = ShareLink.objects.select_related("created_by")
    serializer_class = ShareLinkSerializer
    filterset_fields = ["verification"]
    ordering_fields = ["created_at", "expires_at"]

    @extend_schema(responses={204: None})
    def destroy(self, request: Request, pk: str) -> Response:
        """Revoke the link: it opens nothing from now on."""
        shares.revoke(self.person, self.get_object())
        return Response(status=status.HTTP_204_NO_CONTENT)
