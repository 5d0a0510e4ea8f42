"""What a cast costs: statistics, tables, plots."""

from fpemu.reports.cast_report import Report, Row, report

__all__ = ["Report", "Row", "report"]
