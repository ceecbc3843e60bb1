"""Classification: what a dataset holds, how sensitive that is under each law, and how to mask it.

``scan`` reads files, folders and archives (plan: discovery, blocking and tracing of personal data that crosses
borders), finds the identifiers of Guangdong, Hong Kong and Macao and the columns that tell of people, and grades
the whole under PIPL with GB/T 45574-2025, GB/T 43697-2024, Cap. 486 and Law 8/2005. Pure: no database, no network.
"""

from wantong.border.gate.classification.report import Finding, Question, Report
from wantong.border.gate.classification.scan import Scanner, scan, scan_chunks

__all__ = ["Finding", "Question", "Report", "Scanner", "scan", "scan_chunks"]
