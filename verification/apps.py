"""The Django application."""

from django.apps import AppConfig


class VerificationConfig(AppConfig):
    """Verifications of video classifiers, and everything that belongs to them."""

    name = "verification"
    verbose_name = "FlowVerify"
