"""Pages, figures and tables from a finished study. This room computes no score."""

from consilience.report.notebook import plot_matrix, plot_tree
from consilience.report.page import write_report
from consilience.report.study import write_study
from consilience.report.tables import write_tables

__all__ = ["plot_matrix", "plot_tree", "write_report", "write_study", "write_tables"]
