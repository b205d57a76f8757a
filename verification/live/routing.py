"""Addresses of the sockets."""

from django.urls import path

from verification.live.consumers import VerificationConsumer

websocket_urlpatterns = [path("ws/verifications/<uuid:verification_id>/", VerificationConsumer.as_asgi())]
