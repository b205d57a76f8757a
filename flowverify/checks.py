"""System checks, run by every manage.py command: what is misconfigured, before it shows as something odd."""

import os
from collections.abc import Sequence
from typing import Any

from django.apps import AppConfig
from django.conf import settings
from django.core.checks import CheckMessage, Error, Warning, register


@register
def check_home(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> list[CheckMessage]:
    """Everything an instance keeps lies under FLOWVERIFY_HOME."""
    home = settings.FLOWVERIFY_HOME
    if home.is_dir() and os.access(home, os.R_OK | os.W_OK | os.X_OK):
        return []
    return [
        Error(
            f"FLOWVERIFY_HOME {home} is not a directory that this user can write to.",
            hint="Set FLOWVERIFY_HOME to such a directory.",
            id="flowverify.E001",
        )
    ]


@register
def check_channel_layer(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> list[CheckMessage]:
    """Without a layer Channels drops every message in silence; `core` closes sockets on a broker restart."""
    backend = settings.CHANNEL_LAYERS.get("default", {}).get("BACKEND", "")
    if backend == "channels.layers.InMemoryChannelLayer":
        return [
            Warning(
                "Live updates stay within one process: the worker's never reach a browser.",
                hint="memory:// is for tests; unset FLOWVERIFY_REDIS_URL to use the embedded broker.",
                id="flowverify.W001",
            )
        ]
    if backend != "channels_redis.pubsub.RedisPubSubChannelLayer":
        return [
            Error(
                f"CHANNEL_LAYERS uses {backend or 'nothing'}, which loses live updates.",
                hint="Use channels_redis.pubsub.RedisPubSubChannelLayer.",
                id="flowverify.E002",
            )
        ]
    return []


@register
def check_time_zone(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> list[CheckMessage]:
    """Leases and budgets compare times from several processes."""
    if settings.TIME_ZONE == "UTC" and settings.USE_TZ:
        return []
    return [Error("TIME_ZONE must be UTC with USE_TZ on.", hint="Restore both settings.", id="flowverify.E003")]


@register
def check_secret_key(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> list[CheckMessage]:
    """A key that can be guessed lets anyone forge a session."""
    if len(settings.SECRET_KEY) >= 32 and len(set(settings.SECRET_KEY)) >= 5:
        return []
    return [
        Error(
            "FLOWVERIFY_SECRET_KEY is too short to be secret: it needs at least 32 characters.",
            hint="Unset it to have one generated under FLOWVERIFY_HOME.",
            id="flowverify.E004",
        )
    ]


@register
def check_hosts(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> list[CheckMessage]:
    """With no host allowed, Django answers 400 to everything; with `*` it trusts any Host header."""
    if settings.DEBUG:
        return []
    if not settings.ALLOWED_HOSTS:
        return [
            Error(
                "No host is allowed, so every request would be refused.",
                hint="Set FLOWVERIFY_ALLOWED_HOSTS, for example to localhost.",
                id="flowverify.E005",
            )
        ]
    if "*" in settings.ALLOWED_HOSTS:
        return [
            Warning(
                "Any Host header is trusted.",
                hint="Set FLOWVERIFY_ALLOWED_HOSTS to the names under which this server is reached.",
                id="flowverify.W002",
            )
        ]
    return []
