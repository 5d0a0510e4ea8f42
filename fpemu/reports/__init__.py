"""What a cast costs: statistics, tables, plots."""

from fpemu.reports.cast_errors import HEADER, Errors
from fpemu.reports.cast_report import Report, Row, report, report_stream

__all__ = ["HEADER", "Errors", "Report", "Row", "report", "report_stream"]
