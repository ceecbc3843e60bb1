"""Certificates: paths to a recognised root validated step by step, and the revocation evidence that this takes.

X.509 (RFC 5280, RFC 9618 for policies, RFC 6960 for OCSP) and the sub-indications of ETSI EN 319 102-1. Every check of
every certificate becomes a step of a :class:`~wantong.border.trust.verdict.Verdict`. :mod:`.path` is pure;
:mod:`.services` adds the node's index of revocations and runs the work where it can be killed. Plan tasks 43, 45.
"""
