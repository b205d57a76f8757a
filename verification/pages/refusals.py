"""What services refuse, shown where the person can mend it."""

from django import forms
from django.contrib import messages
from django.http import HttpRequest

from verification.services.errors import ServiceError


def show_on_form(form: forms.Form, error: ServiceError) -> None:
    """Beside the field that is wrong, or above the form when it is none of them."""
    form.add_error(error.field if error.field in form.fields else None, str(error))


def show_as_message(request: HttpRequest, error: ServiceError) -> None:
    """On top of the next page."""
    messages.error(request, str(error))
