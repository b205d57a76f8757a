"""The site's settings for tests: no broker, a home of its own for each test process, cheap passwords."""

import atexit
import os
import shutil
import tempfile

# Set before the real settings are read, and inherited by every process that a test starts.
_home = tempfile.mkdtemp(prefix="flowverify-tests-")
atexit.register(shutil.rmtree, _home, ignore_errors=True)
os.environ.update(FLOWVERIFY_HOME=_home, FLOWVERIFY_REDIS_URL="memory://", FLOWVERIFY_BROKER_URL="memory://")
os.environ.pop("DATABASE_URL", None)

from flowverify.settings import *  # noqa: E402, F403
from flowverify.settings import DATABASES, FLOWVERIFY_HOME  # noqa: E402

# A file, as in production: with SQLite in memory, threads would share one connection and never wait.
DATABASES["default"]["TEST"] = {"NAME": str(FLOWVERIFY_HOME / "test.sqlite3")}
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
