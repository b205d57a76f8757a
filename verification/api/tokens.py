"""Personal tokens for programs."""

from drf_spectacular.utils import extend_schema
from rest_framework import mixins, status
from rest_framework.authentication import SessionAuthentication
from rest_framework.exceptions import PermissionDenied
from rest_framework.request import Request
from rest_framework.response import Response

from verification.api.base import ScopedViewSet
from verification.api.requests import TokenRequest
from verification.api.serializers import ApiTokenSerializer, NewApiTokenSerializer
from verification.models import ApiToken
from verification.services import tokens


class TokenViewSet(mixins.ListModelMixin, mixins.RetrieveModelMixin, ScopedViewSet[ApiToken]):
    """The person's own tokens, without their secrets."""

    queryset = ApiToken.objects.all()
    serializer_class = ApiTokenSerializer
    ordering_fields = ["created_at", "last_used_at", "expires_at"]

    @extend_schema(request=TokenRequest, responses={201: NewApiTokenSerializer})
    def create(self, request: Request) -> Response:
        """Create a token; the answer is the only place where it can be read."""
        # Otherwise a leaked token could outlive its own expiry and revocation.
        if not isinstance(request.successful_authenticator, SessionAuthentication):
            raise PermissionDenied("A token cannot create tokens: log in on the token page.")
        body = TokenRequest(data=request.data)
        body.is_valid(raise_exception=True)
        token, plain = tokens.create_token(self.person, **body.validated_data)
        shown = ApiTokenSerializer(token).data | {"token": plain}
        return Response(shown, status.HTTP_201_CREATED)

    @extend_schema(responses={204: None})
    def destroy(self, request: Request, pk: str) -> Response:
        """Revoke the token: requests with it are refused from now on."""
        tokens.revoke_token(self.person, self.get_object())
        return Response(status=status.HTTP_204_NO_CONTENT)
