"""Claims about implementations, and their verification: audits, golden vectors, diagnosis of differences."""

from fpemu.verification.audits import (
    Audit,
    Difference,
    Recorded,
    Recordings,
    RuleSet,
    audit,
    function,
    library,
    probe,
    program,
    recorded,
    recordings,
)
from fpemu.verification.claims import Batch, Claim, given_arguments

__all__ = [
    "Audit",
    "Batch",
    "Claim",
    "Difference",
    "Recorded",
    "Recordings",
    "RuleSet",
    "audit",
    "function",
    "library",
    "probe",
    "program",
    "recorded",
    "recordings",
]
