"""Audits: compare an implementation with its claim, bit for bit; search for the rules that it follows instead."""

from fpemu.verification.audits.auditor import audit
from fpemu.verification.audits.findings import Difference
from fpemu.verification.audits.probe_script import probe
from fpemu.verification.audits.recordings import Recordings, recordings
from fpemu.verification.audits.result import Audit
from fpemu.verification.audits.rule_search import RuleSet
from fpemu.verification.audits.subjects import Recorded, function, library, program, recorded
