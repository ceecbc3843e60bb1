"""Classification: what a dataset holds, how sensitive that is under each law, and how to mask it.

``scan`` reads files, folders and archives (plan: discovery, blocking and tracing of personal data that crosses
borders), finds the identifiers of Guangdong, Hong Kong and Macao and the columns that tell of people, and grades
the whole under PIPL with GB/T 45574-2025, GB/T 43697-2024, Cap. 486 and Law 8/2005. Pure: no database, no network.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from wantong.border.gate.classification.report import Finding, Question, Report
from wantong.border.gate.classification.scan import Scanner, scan, scan_chunks

if TYPE_CHECKING:
    from wantong.border.gate.classification.masking import MaskReport, mask, select

__all__ = ["Finding", "MaskReport", "Question", "Report", "Scanner", "mask", "scan", "scan_chunks", "select"]


def __getattr__(name: str) -> Any:
    """The masks on first use: they bring the writers of XLSX and Parquet, which a scan does without."""
    if name in ("MaskReport", "mask", "select"):
        from wantong.border.gate.classification import masking

        return getattr(masking, name)
    raise AttributeError(name)
