"""What all resources share: team scope, pages and ordering."""

from typing import TypeVar

from django.contrib.auth.models import User
from django.db.models import Model, QuerySet
from django_filters.rest_framework import DjangoFilterBackend
from rest_framework.exceptions import NotAuthenticated
from rest_framework.filters import OrderingFilter
from rest_framework.pagination import PageNumberPagination
from rest_framework.viewsets import GenericViewSet

from verification.api.scope import own

M = TypeVar("M", bound=Model)


class Pages(PageNumberPagination):
    """50 objects a page; `?page_size=` asks for up to 200."""

    page_size = 50
    page_size_query_param = "page_size"
    max_page_size = 200


class ScopedViewSet(GenericViewSet[M]):
    """Objects that the person may see; all others answer 404, as if they did not exist.

    Subclasses set `queryset` to all rows of a model whose query set has `for_user`.
    """

    pagination_class = Pages
    filter_backends = [DjangoFilterBackend, OrderingFilter]
    ordering_fields: list[str] = ["created_at"]
    lookup_value_converter = "uuid"

    @property
    def person(self) -> User:
        """Who asks; no visitor gets as far as an action that needs this."""
        user = self.request.user
        if not isinstance(user, User):
            raise NotAuthenticated
        return user

    def get_queryset(self) -> QuerySet[M]:
        """The rows of the person's teams."""
        return own(super().get_queryset(), self.request.user)
