"""Pages, figures and tables from a finished study. This room computes no score."""

from consilience.report.page import write_report
from consilience.report.study import write_study
from consilience.report.tables import write_tables

__all__ = ["write_report", "write_study", "write_tables"]
