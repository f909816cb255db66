"""`report`: one page in which vectors, a vocabulary's rows or two spaces can be explored."""

from vecload.keywords import explain_public
from vecload.reports.explorer import SUFFIXES, Report, check_report, report
from vecload.reports.layouts import Layout
from vecload.reports.subjects import Subject

__all__ = ["SUFFIXES", "Layout", "Report", "Subject", "check_report", "report"]

explain_public(__name__)
