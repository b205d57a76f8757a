"""Access tokens for programs: shown once, revocable."""

from uuid import UUID

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST

from verification.models import ApiToken
from verification.pages.current_team import TeamPageRequest
from verification.pages.forms import TokenForm
from verification.pages.refusals import show_as_message, show_on_form
from verification.services import tokens as token_services
from verification.services.errors import ServiceError


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
@login_required
def tokens(request: TeamPageRequest) -> HttpResponse:
    """One's own tokens; a POST creates one and shows it in its own answer, this once."""
    form = TokenForm(request.POST or None)
    plain = ""
    if request.method == "POST" and form.is_valid():
        try:
            _, plain = token_services.create_token(request.user, form.cleaned_data["name"], form.cleaned_data["days"])
        except ServiceError as error:
            show_on_form(form, error)
        else:
            form = TokenForm()
    context = {"form": form, "plain": plain, "tokens": ApiToken.objects.for_user(request.user)}
    return render(request, "pages/tokens.html", context, status=400 if form.is_bound else 200)


@require_POST
@login_required
def revoke_token(request: TeamPageRequest, pk: UUID) -> HttpResponse:
    """Close a token for good."""
    token = get_object_or_404(ApiToken.objects.for_user(request.user), pk=pk)
    try:
        token_services.revoke_token(request.user, token)
    except ServiceError as error:
        show_as_message(request, error)
    else:
        messages.success(request, f"The token “{token.name}” is revoked.")
    return redirect("tokens")
