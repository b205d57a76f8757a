"""The tus 1.0 protocol with the extensions creation and termination: its headers, read and checked.

See its text, sections "Core Protocol", "Creation" and "Termination". It says everything in headers.
"""

import base64
import binascii
import re
from collections.abc import Mapping

from verification.services.errors import Invalid

VERSION = "1.0.0"
EXTENSIONS = "creation,termination"
CONTENT_TYPE = "application/offset+octet-stream"

#: More metadata than that is a mistake; labels of a thousand classes fit.
_MAX_METADATA = 64 * 1024
_NUMBER = re.compile(r"[0-9]{1,15}", re.ASCII)


def read_number(headers: Mapping[str, str], name: str) -> int:
    """The whole number in header `name`. Raises Invalid."""
    text = headers.get(name, "")
    if not _NUMBER.fullmatch(text):
        raise Invalid(f"The header {name} must be a whole number of bytes.")
    return int(text)


def read_metadata(header: str) -> dict[str, str]:
    """`Upload-Metadata`: pairs of a name and a base64 value, separated by commas. Raises Invalid."""
    if len(header) > _MAX_METADATA:
        raise Invalid("The header Upload-Metadata is too long.")
    metadata: dict[str, str] = {}
    for pair in filter(None, (part.strip() for part in header.split(","))):
        name, _, value = pair.partition(" ")
        try:
            metadata[name] = base64.b64decode(value.strip(), validate=True).decode("utf-8")
        except (binascii.Error, UnicodeDecodeError) as error:
            raise Invalid(f"The value of {name} in Upload-Metadata must be text in base64.") from error
    return metadata
