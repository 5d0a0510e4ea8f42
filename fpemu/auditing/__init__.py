"""Audits: is this implementation what it claims, bit for bit, and if not, which rules does it follow instead?"""

from fpemu.auditing.checking import audit
from fpemu.auditing.fitting import Explanation
from fpemu.auditing.ledger import Difference
from fpemu.auditing.outcome import Audit
from fpemu.auditing.probing import probe
from fpemu.auditing.recordings import Recordings, recordings
from fpemu.auditing.subjects import Recorded, function, library, program, recorded

__all__ = [
    "Audit",
    "Difference",
    "Explanation",
    "Recorded",
    "Recordings",
    "audit",
    "function",
    "library",
    "probe",
    "program",
    "recorded",
    "recordings",
]
