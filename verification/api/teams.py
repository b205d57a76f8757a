"""Teams: who works together, and the links by which others join."""

from drf_spectacular.utils import extend_schema
from rest_framework import mixins, status
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from verification.api.base import ScopedViewSet
from verification.api.requests import InvitationRequest, TeamRequest
from verification.api.serializers import InvitationSerializer, TeamSerializer
from verification.models import Team
from verification.services import teams


class TeamViewSet(mixins.ListModelMixin, mixins.RetrieveModelMixin, ScopedViewSet[Team]):
    """The person's teams."""

    queryset = Team.objects.prefetch_related("memberships__user")
    serializer_class = TeamSerializer
    ordering_fields = ["name", "created_at"]

    @extend_schema(request=TeamRequest, responses={201: TeamSerializer})
    def create(self, request: Request) -> Response:
        """Create a team and own it."""
        body = TeamRequest(data=request.data)
        body.is_valid(raise_exception=True)
        team = teams.create_team(self.person, **body.validated_data)
        return Response(TeamSerializer(team).data, status.HTTP_201_CREATED)

    @extend_schema(request=InvitationRequest, responses={201: InvitationSerializer})
    @action(detail=True, methods=["post"], url_name="invitations")
    def invitations(self, request: Request, pk: str) -> Response:
        """Create a link with which people join the team. Owners only."""
        team = self.get_object()
        body = InvitationRequest(data=request.data)
        body.is_valid(raise_exception=True)
        invitation = teams.invite(self.person, team, **body.validated_data)
        shown = InvitationSerializer(invitation, context=self.get_serializer_context())
        return Response(shown.data, status.HTTP_201_CREATED)
