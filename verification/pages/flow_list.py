"""Flow numbers as people write them: `all`, `3`, `1, 3-5`."""

import re

from django.core.exceptions import ValidationError

#: More flows than any clip has; keeps `1-999999999` from filling the memory.
MOST = 100_000
_PART = re.compile(r"(\d{1,9})(?:\s*(?:-|–|to)\s*(\d{1,9}))?", re.ASCII)


def parse_flows(text: str) -> list[int] | None:
    """The numbers in `text`, sorted; None for all of them. Raises ValidationError."""
    text = text.strip().lower()
    if text in {"", "all"}:
        return None
    found: set[int] = set()
    for part in filter(None, (part.strip() for part in re.split(r"[,;]", text))):
        match = _PART.fullmatch(part)
        if match is None:
            raise ValidationError(f"“{part}” is not a flow number. Write all, or numbers and ranges such as 1,3-5.")
        first, last = int(match[1]), int(match[2] or match[1])
        if first > last:
            raise ValidationError(f"The range {part} runs backwards: write {last}-{first}.")
        if last > MOST:
            raise ValidationError(f"There is no flow {last}: a clip has one flow less than frames.")
        found.update(range(first, last + 1))
    if not found:
        raise ValidationError("Write all, or numbers and ranges such as 1,3-5.")
    return sorted(found)
