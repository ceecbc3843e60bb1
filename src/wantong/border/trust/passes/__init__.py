"""One-code pass (一码通关、一码畅行): a right to pass, shown as a code, decided at a gate within milliseconds.

*Online* a code is a random number that is dead after thirty seconds and after its renewal; who reads it redeems it at
the node that issued it. *Offline* it is a CWT (RFC 8392) in COSE_Sign1, good for minutes, bound to a key that never
leaves the holder's device; the device signs the moment of showing, and the gate has fetched the issuers' keys and the
status bits beforehand. Neither holds anything about the person.

``codes`` is the text of a code, ``offline`` what stands in one, ``gate`` the decision, ``rules`` what a gate goes by,
``journal`` what it remembers: pure, or a file. Plan tasks 26 and 48.
"""
