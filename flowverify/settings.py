"""Settings of the site, from typed environment variables. A wrong value stops the start with one line."""

from pathlib import Path
from typing import Any
from urllib.parse import quote

from flowverify import environment, paths

BASE_DIR = Path(__file__).resolve().parent.parent

# --- This instance --------------------------------------------------------------------------------
FLOWVERIFY_HOME = environment.directory("FLOWVERIFY_HOME", BASE_DIR / "var")
paths.make_home(FLOWVERIFY_HOME)

DEBUG = environment.flag("FLOWVERIFY_DEBUG", False)
ALLOWED_HOSTS = environment.words("FLOWVERIFY_ALLOWED_HOSTS", ["localhost", "127.0.0.1", "[::1]"])
CSRF_TRUSTED_ORIGINS = environment.words("FLOWVERIFY_TRUSTED_ORIGINS", [])
SECRET_KEY = environment.text("FLOWVERIFY_SECRET_KEY") or paths.secret_key(FLOWVERIFY_HOME)

ROOT_URLCONF = "flowverify.urls"
ASGI_APPLICATION = "flowverify.asgi.application"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

INSTALLED_APPS = [
    "daphne",  # before staticfiles: its runserver speaks WebSocket
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "channels",
    "rest_framework",
    "django_filters",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "django_dramatiq",
    "django_vite",
    "verification",
    "flowverify",
]

MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]

TEMPLATES: list[dict[str, Any]] = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "verification.pages.current_team.navigation",
            ],
        },
    }
]

# --- Data -----------------------------------------------------------------------------------------
DATABASES: dict[str, dict[str, Any]] = {
    "default": environment.database(
        "DATABASE_URL",
        {"ENGINE": "django.db.backends.sqlite3", "NAME": str(FLOWVERIFY_HOME / "db.sqlite3")},
    )
}
if DATABASES["default"]["ENGINE"] == "django.db.backends.sqlite3":
    DATABASES["default"]["OPTIONS"] = {
        # Server and worker write at the same time: wait for each other instead of failing, and take the write
        # lock when a transaction begins, because upgrading a read lock later cannot wait.
        "timeout": 20,
        "transaction_mode": "IMMEDIATE",
        "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL; PRAGMA foreign_keys=ON;",
    }

STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
}
# Never served by their path: every file goes through a view that checks the team.
MEDIA_ROOT = FLOWVERIFY_HOME / "media"
FILE_UPLOAD_PERMISSIONS = 0o600
FILE_UPLOAD_DIRECTORY_PERMISSIONS = 0o700

FLOWVERIFY_MEMORY_GB = environment.positive_float("FLOWVERIFY_MEMORY_GB", 4.0)

#: What reading one file may take, in a process of its own.
FLOWVERIFY_READING_SECONDS = environment.positive_float("FLOWVERIFY_READING_SECONDS", 600.0)
FLOWVERIFY_READING_MEMORY_GB = environment.positive_float("FLOWVERIFY_READING_MEMORY_GB", 4.0)

FLOWVERIFY_UPLOADS = FLOWVERIFY_HOME / "uploads"
FLOWVERIFY_MAX_UPLOAD_BYTES = environment.positive_int("FLOWVERIFY_MAX_UPLOAD_BYTES", 2 * 1024**3)

# --- Broker and sockets ---------------------------------------------------------------------------
# memory:// keeps everything in one process, for tests; nothing then reaches a worker.
_BROKER_SCHEMES = {"redis", "rediss", "unix", "memory"}
VALKEY_SOCKET = paths.valkey_socket(FLOWVERIFY_HOME)
FLOWVERIFY_REDIS_URL = environment.url(
    "FLOWVERIFY_REDIS_URL", f"unix://{quote(str(VALKEY_SOCKET))}?db=0", _BROKER_SCHEMES
)
#: Whether the supervisor has to start the embedded Valkey.
FLOWVERIFY_EMBEDDED_BROKER = FLOWVERIFY_REDIS_URL.startswith("unix:") and not environment.text("FLOWVERIFY_REDIS_URL")
FLOWVERIFY_BROKER_URL = environment.url("FLOWVERIFY_BROKER_URL", FLOWVERIFY_REDIS_URL, _BROKER_SCHEMES)

CHANNEL_LAYERS: dict[str, dict[str, Any]] = {
    "default": {
        "BACKEND": "channels_redis.pubsub.RedisPubSubChannelLayer",
        "CONFIG": {"hosts": [FLOWVERIFY_REDIS_URL]},
    }
}
if FLOWVERIFY_REDIS_URL.startswith("memory:"):
    CHANNEL_LAYERS = {"default": {"BACKEND": "channels.layers.InMemoryChannelLayer"}}

DRAMATIQ_BROKER: dict[str, Any] = {
    "BROKER": "dramatiq.brokers.redis.RedisBroker",
    "OPTIONS": {
        "url": FLOWVERIFY_BROKER_URL,
        "namespace": "flowverify",
        # With the defaults the message of a killed worker is delivered again only after minutes, if at all.
        "heartbeat_timeout": 15_000,
        "maintenance_chance": 1_000_000,
    },
    # TimeLimit, Retries and AgeLimit have no options here: each actor states its own.
    "MIDDLEWARE": [
        "dramatiq.middleware.AgeLimit",
        "dramatiq.middleware.TimeLimit",
        "dramatiq.middleware.ShutdownNotifications",
        "dramatiq.middleware.Callbacks",
        "dramatiq.middleware.Retries",
        "django_dramatiq.middleware.DbConnectionsMiddleware",
    ],
}
if FLOWVERIFY_BROKER_URL.startswith("memory:"):
    DRAMATIQ_BROKER["BROKER"] = "dramatiq.brokers.stub.StubBroker"
    DRAMATIQ_BROKER["OPTIONS"] = {}
DRAMATIQ_AUTODISCOVER_MODULES = ("jobs.actors",)

# --- Accounts and cookies -------------------------------------------------------------------------
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator"},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]
LOGIN_URL = "login"
LOGIN_REDIRECT_URL = "dashboard"
LOGOUT_REDIRECT_URL = "login"

# Cookies know no ports: two instances on one host would log each other out if they shared a name.
SESSION_COOKIE_NAME = f"flowverify_{paths.home_digest(FLOWVERIFY_HOME)}"
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = "Lax"
CSRF_COOKIE_SAMESITE = "Lax"
# The default instance speaks plain HTTP on localhost, where a browser would drop secure cookies.
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = environment.flag("FLOWVERIFY_HTTPS", False)
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if SESSION_COOKIE_SECURE else None
SECURE_CONTENT_TYPE_NOSNIFF = True
SECURE_REFERRER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"

# --- REST -----------------------------------------------------------------------------------------
REST_FRAMEWORK: dict[str, Any] = {
    "DEFAULT_AUTHENTICATION_CLASSES": [
        "verification.api.authentication.BearerAuthentication",
        "rest_framework.authentication.SessionAuthentication",
    ],
    "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAuthenticated"],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": ["verification.api.parsers.BoundedJSONParser"],
    "DEFAULT_FILTER_BACKENDS": ["django_filters.rest_framework.DjangoFilterBackend"],
    "DEFAULT_PAGINATION_CLASS": "rest_framework.pagination.PageNumberPagination",
    "PAGE_SIZE": 50,
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
    "EXCEPTION_HANDLER": "verification.api.exceptions.handle",
    "TEST_REQUEST_DEFAULT_FORMAT": "json",
}
SPECTACULAR_SETTINGS: dict[str, Any] = {
    "TITLE": "FlowVerify",
    "DESCRIPTION": "Bounds on how far the optical flow of a clip can change before a video classifier does.",
    "VERSION": "1",
    "SERVE_INCLUDE_SCHEMA": False,
    "SERVE_PERMISSIONS": ["rest_framework.permissions.IsAuthenticated"],
    "COMPONENT_SPLIT_REQUEST": True,
    "POSTPROCESSING_HOOKS": [
        "drf_spectacular.hooks.postprocess_schema_enums",
        "verification.api.schema.complete",
    ],
    # Offline: from the sidecar package instead of a CDN.
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    "REDOC_DIST": "SIDECAR",
}

# --- Static files and language --------------------------------------------------------------------
STATIC_URL = "/static/"
FRONTEND_DIST = BASE_DIR / "frontend" / "dist"
STATICFILES_DIRS = [FRONTEND_DIST]
# Straight from the packages and from frontend/dist: no collectstatic between a clone and a running server.
WHITENOISE_USE_FINDERS = True
WHITENOISE_IMMUTABLE_FILE_TEST = r"^/static/assets/.+-[\w-]{8}\.\w+$"  # the names that Vite gives
DJANGO_VITE = {"default": {"dev_mode": False, "manifest_path": FRONTEND_DIST / "manifest.json"}}

LANGUAGE_CODE = "en-gb"
TIME_ZONE = "UTC"  # timestamps in the database, the API and the sockets are compared with each other
USE_TZ = True

# --- Logging --------------------------------------------------------------------------------------
LOGGING: dict[str, Any] = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"plain": {"format": "{asctime} {levelname} {name}: {message}", "style": "{"}},
    "handlers": {"console": {"class": "logging.StreamHandler", "formatter": "plain"}},
    "root": {"handlers": ["console"], "level": "WARNING"},
    "loggers": {
        "verification": {"level": "DEBUG" if DEBUG else "INFO"},
        "flowverify": {"level": "DEBUG" if DEBUG else "INFO"},
        "django": {"handlers": ["console"], "level": "INFO", "propagate": False},
        # One line for each refused request is enough of an access log for a 4xx.
        "django.request": {"level": "ERROR"},
    },
}
