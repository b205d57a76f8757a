"""The one way in which the API narrows rows down to those that a person may see."""

from typing import Protocol, TypeVar, cast

from django.contrib.auth.base_user import AbstractBaseUser
from django.contrib.auth.models import AnonymousUser
from django.db.models import Model, QuerySet

M = TypeVar("M", bound=Model)
M_co = TypeVar("M_co", bound=Model, covariant=True)


class _Scoped(Protocol[M_co]):
    """Every query set of this application has it; Django's types do not know."""

    def for_user(self, user: AbstractBaseUser | AnonymousUser) -> QuerySet[M_co]: ...


def own(rows: QuerySet[M] | None, user: AbstractBaseUser | AnonymousUser) -> QuerySet[M]:
    """The rows of `user`'s teams, of which a visitor has none."""
    return cast(_Scoped[M], rows).for_user(user)
