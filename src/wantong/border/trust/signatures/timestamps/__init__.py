"""The node's timestamp service (电子时间戳): proof that something existed at a time, by RFC 3161 and ETSI EN 319 422.

:mod:`~.stamping` is pure: from a request, a time and a serial number to a response. A node answers at
``POST /trust/timestamp`` with its ``timestamp`` keys, ES256 or SM2 by the policy or the hash that is asked for; every
token is in the log. Plan task 43.
"""
