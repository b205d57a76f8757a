"""What all resources share: team scope, pages, ordering, and services' refusals as responses."""

from collections.abc import Callable
from typing import Any, TypeVar

from django.db.models import Model, QuerySet
from django_filters.rest_framework import DjangoFilterBackend
from rest_framework.filters import OrderingFilter
from rest_framework.pagination import PageNumberPagination
from rest_framework.response import Response
from rest_framework.viewsets import GenericViewSet

from verification.api import exceptions

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

    def get_queryset(self) -> QuerySet[M]:
        """The rows of the person's teams."""
        return super().get_queryset().for_user(self.request.user)  # type: ignore[attr-defined, no-any-return]

    def get_exception_handler(self) -> Callable[[Exception, dict[str, Any]], Response | None]:
        """The one that knows services' and the engine's errors."""
        return exceptions.handle
