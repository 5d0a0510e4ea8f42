"""The cost of casts: statistics, tables, pictures."""

from fpemu.reports.cast_errors import ERROR_COLUMNS, Errors
from fpemu.reports.cast_report import Report, Row, report, report_stream

__all__ = ["Report", "Row", "report"]
