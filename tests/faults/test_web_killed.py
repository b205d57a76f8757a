"""A web server that is killed: connections wait for it instead of being refused."""

import requests

from tests.server import RealServer


def test_a_request_waits_until_the_web_server_is_back(server: RealServer) -> None:
    killed = server.kill_child("web")
    assert requests.get(server.url + "/login/", timeout=60).status_code == 200
    assert server.child("web") != killed
    assert "The web stopped (signal SIGKILL); starting it again." in server.output
