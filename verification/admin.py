"""For operators: put a person into a team, or a team in order, when its owners cannot."""

from django.contrib import admin
from django.http import HttpRequest

from verification.models import ApiToken, Membership, Team


class MembershipInline(admin.TabularInline):
    """Who is in the team."""

    model = Membership
    extra = 0
    autocomplete_fields = ["user"]


@admin.register(Team)
class TeamAdmin(admin.ModelAdmin):
    """Teams with their members. Videos, classifiers and verifications stay with the team's pages."""

    list_display = ["name", "slug", "created_at"]
    search_fields = ["name", "slug"]
    inlines = [MembershipInline]

    def has_delete_permission(self, request: HttpRequest, obj: Team | None = None) -> bool:
        """Deleting rows here would leave their files behind."""
        return False


@admin.register(ApiToken)
class ApiTokenAdmin(admin.ModelAdmin):
    """Tokens can be revoked by their date; nobody can make one for somebody else."""

    list_display = ["name", "user", "created_at", "last_used_at", "expires_at", "revoked_at"]
    readonly_fields = ["user", "name", "created_at", "last_used_at"]
    search_fields = ["name", "user__username"]

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Only a person sees their own token, once."""
        return False
