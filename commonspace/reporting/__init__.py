"""A run and a split in, a folder of pictures and one page out: it chooses nothing."""

from commonspace.reporting.report import PAGE, ReportOptions, Subject, Watcher, write_report

__all__ = ["PAGE", "ReportOptions", "Subject", "Watcher", "write_report"]
