"""Everything belongs to a team: the one query that decides what a person may see."""

from typing import ClassVar, Self, TypeVar

from django.contrib.auth.base_user import AbstractBaseUser
from django.contrib.auth.models import AnonymousUser
from django.db import models

M = TypeVar("M", bound="TeamOwned", covariant=True)


class TeamQuerySet(models.QuerySet[M]):
    """Rows of a model that names the way to its team in `TEAM`."""

    def for_user(self, user: AbstractBaseUser | AnonymousUser) -> Self:
        """The rows of the teams of which `user` is a member; none for a visitor, no exception for staff."""
        if not user.is_authenticated:
            return self.none()
        way = f"{self.model.TEAM}__" if self.model.TEAM else ""
        return self.filter(**{f"{way}memberships__user": user})


TeamManager = models.Manager.from_queryset(TeamQuerySet)


class TeamOwned(models.Model):
    """Base of all models that belong to a team. `TEAM`: the lookup from the model to its team."""

    TEAM: ClassVar[str] = "team"

    objects = TeamManager()

    class Meta:
        abstract = True
