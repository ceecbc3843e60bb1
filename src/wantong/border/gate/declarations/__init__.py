"""Data customs (数据海关, task 1 of the plan): declare, classify, decide, release or hold or refuse, deliver, receipt.

Pure: :mod:`.workflow` (a declaration is the fold of its actions), :mod:`.decision` (from a legal answer to what must
still happen), :mod:`.counting`, :mod:`.outgoing` (the parcel and the one rename that decides a race; the data plane
uses it without a database). Shell: :mod:`.services` for people and peers, :mod:`.steps` for what happens by itself,
:mod:`.receiving` for the other side of the border, :mod:`.pictures` for pages.
"""

from wantong.border.gate.declarations.consignment import Consignment
from wantong.border.gate.declarations.workflow import Action, Projection, Workflow, apply, fold

__all__ = ["Action", "Consignment", "Projection", "Workflow", "apply", "fold"]
