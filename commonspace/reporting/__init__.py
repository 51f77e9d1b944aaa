"""Report of a run: metrics and figures of a split on one page."""

from commonspace.reporting.report import PAGE, ReportOptions, Subject, write_report

__all__ = ["PAGE", "ReportOptions", "Subject", "write_report"]
