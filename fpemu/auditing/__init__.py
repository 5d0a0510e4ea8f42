"""Audits: is this implementation what it claims, bit for bit, and if not, which rules does it follow instead?"""

from fpemu.auditing.checking import audit
from fpemu.auditing.fitting import Explanation
from fpemu.auditing.ledger import Difference
from fpemu.auditing.outcome import Audit
from fpemu.auditing.subjects import Recorded, function, library, program, recorded

__all__ = ["Audit", "Difference", "Explanation", "Recorded", "audit", "function", "library", "program", "recorded"]
