"""The site for Daphne: pages and REST over HTTP, live bounds over WebSocket."""

import os

from channels.auth import AuthMiddlewareStack
from channels.routing import ProtocolTypeRouter, URLRouter
from channels.security.websocket import AllowedHostsOriginValidator
from django.core.asgi import get_asgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "flowverify.settings")
http = get_asgi_application()  # loads the apps; the routes below import models

from verification import sandbox  # noqa: E402
from verification.live.routing import websocket_urlpatterns  # noqa: E402

sandbox.warm_up()  # the first file that comes shall not wait for the libraries

application = ProtocolTypeRouter(
    {
        "http": http,
        "websocket": AllowedHostsOriginValidator(AuthMiddlewareStack(URLRouter(websocket_urlpatterns))),
    }
)
