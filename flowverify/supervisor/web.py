"""The child that runs Daphne on a socket which the supervisor has opened.

    python -m flowverify.supervisor.web HOME DESCRIPTOR

The socket outlives this process: while it is started again, connections wait instead of being refused.
"""

import functools
import sys
from pathlib import Path
from typing import Any

from daphne import server as daphne_server
from daphne.http_protocol import HTTPFactory, WebRequest

from flowverify.supervisor.bodies import BodyServer
from flowverify.supervisor.lifeline import hold

#: Seconds that a request or a socket may take to end when the server stops.
CLOSE_SECONDS = 3
#: Bytes a body is handed to Django at a time; Daphne's 8 kB would cut an upload chunk into a thousand
#: messages.
BODY_BYTES = 256 * 1024


class RawBodyFactory(HTTPFactory):
    """Leaves request bodies to Django.

    Twisted would parse a multipart POST on the reactor and freeze every client meanwhile (200 MB: 9 seconds).
    """

    def buildProtocol(self, address: Any) -> Any:  # noqa: N802 - the name is Twisted's
        protocol = super().buildProtocol(address)
        protocol.requestFactory = functools.partial(WebRequest, parsePOSTFormSubmission=False)
        return protocol


def main() -> None:
    """Serve until SIGTERM."""
    home, descriptor = Path(sys.argv[1]), int(sys.argv[2])
    hold(home, "web")
    from flowverify.asgi import application

    # Daphne builds its factory by this name and offers no parameter for it.
    daphne_server.HTTPFactory = RawBodyFactory
    BodyServer(
        application,
        endpoints=[f"fd:fileno={descriptor}"],
        request_buffer_size=BODY_BYTES,
        application_close_timeout=CLOSE_SECONDS,
        websocket_timeout=-1,
        server_name="FlowVerify",
    ).run()


if __name__ == "__main__":
    main()
