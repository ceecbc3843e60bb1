"""The whitelist (授权目录, task 2 of the plan): what may leave, to the field, approved by two people.

:func:`covers` is the whole question as a pure function; :mod:`.services` keeps the items and their histories.
"""

from wantong.border.gate.whitelist.catalogue import MASKS, Item, covers

__all__ = ["MASKS", "Item", "covers"]
