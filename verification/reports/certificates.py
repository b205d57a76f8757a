"""What pages say of a certificate: what it is, what it proves, and how anybody checks it."""

from collections.abc import Iterable
from dataclasses import dataclass

from verification.models import Artifact, Verification
from verification.reports import numbers, wording
from verification.reports.commands import check_command
from verification.reports.facts import Facts
from verification.reports.figures import AddressOf

ABOUT = (
    "A certificate is a file that states what is proven and holds what it takes to prove it once more. The checker is a smaller "
    "program than the search. It trusts neither the search and its bounds, nor this server, nor the file: it samples the clip, "
    "reads the classifier, and proves the whole claim anew, with rounding errors counted against it."
)
CHECKING = (
    "It ends with exit code 0 if the claim is proven, 1 if it is not, with the reason, and 2 if it cannot tell. It shares with "
    "the search how a video is decoded, a classifier read, a flow extracted and imposed on the frames, and it relies on the "
    "computer that it runs on."
)
WHY_LESS = "the checker's bounds are simpler, and the certificate goes as far as they do."
#: While there is none yet.
WRITING = "The bounds are final. The certificate is being written, which takes time beyond the budget."
WAITING = "It will be written when the bounds are final."


@dataclass(frozen=True)
class CertificatePart:
    """What is said of the certificate. `missing`: what there is instead of it, empty if it is there.

    `claim`: what it proves, `less`: that this is not the whole lower bound. `command` checks it.
    """

    missing: str
    claim: str
    less: str
    url: str
    bytes: int
    command: str
    about: str = ABOUT
    checking: str = CHECKING


def explained(verification: Verification) -> dict[str, object]:
    """What the live page says of a certificate, whatever comes of it."""
    return {
        "command": check_command(verification),
        "about": ABOUT,
        "checking": CHECKING,
        "whyLess": WHY_LESS,
        "writing": WRITING,
        "waiting": WAITING,
    }


def part(
    verification: Verification, facts: Facts, artifacts: Iterable[Artifact], address: AddressOf
) -> CertificatePart | None:
    """None where no certificate was asked for."""
    if not verification.certificate:
        return None
    file = next((artifact for artifact in artifacts if artifact.kind == Artifact.Kind.CERTIFICATE), None)
    radius = facts.certificate_radius
    if file is None or radius is None:
        return CertificatePart(_missing(verification), "", "", "", 0, "")
    return CertificatePart(
        missing="",
        claim=numbers.keep_together(wording.claim(facts, radius)),
        less=numbers.keep_together(_less(facts, radius)),
        url=address(file),
        bytes=file.bytes,
        command=check_command(verification),
    )


def _missing(verification: Verification) -> str:
    if verification.no_certificate:
        return f"None. {verification.no_certificate}"
    return WRITING if verification.certifying else WAITING


def _less(facts: Facts, radius: float) -> str:
    """Only where it can be seen in the digits that are shown."""
    whole = facts.unit.proven(facts.lower)
    if whole == facts.unit.proven(radius) or facts.lower_guarantee != "sound":
        return ""
    return f"The search has proven more, {whole}: {WHY_LESS}"
