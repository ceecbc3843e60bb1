"""Acts that give trust take two people: one proposes, and it is in effect when another approves (双人复核).

Rooms above say in their module ``proposed`` which acts those are (:mod:`.kinds`); taking trust away stays with one.
"""
