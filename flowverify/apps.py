"""The site as a Django application, so that its system checks are found."""

from django.apps import AppConfig


class FlowVerifyConfig(AppConfig):
    """No models: settings, addresses, supervisor and checks."""

    name = "flowverify"
    verbose_name = "FlowVerify site"

    def ready(self) -> None:
        from flowverify import checks  # noqa: F401 - imported for its effect: the checks register themselves
