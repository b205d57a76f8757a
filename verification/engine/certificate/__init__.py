"""Lower bounds as files that another program can check (engine contract, section 13; docs/bounds.md, "Certificates").

`certify` makes them with the help of a search; all else is the checker, which knows nothing of the search and its bounds.
"""

from verification.engine.certificate.certify import certify
from verification.engine.certificate.check import Outcome, Verdict, check, check_form
from verification.engine.certificate.document import Certificate, CertificateError, clip_hash

__all__ = ["Certificate", "CertificateError", "Outcome", "Verdict", "certify", "check", "check_form", "clip_hash"]
