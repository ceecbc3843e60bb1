"""Wantong (湾通): digital public infrastructure for the Guangdong–Hong Kong–Macao Greater Bay Area.

Five floors; imports only go down::

    portal    pages people see
    wings     one package for each of the plan's seven 通
    engines   cases, market, matching, contests, indicators, compute
    border    trust, gate, exchange, privacy: what lets things cross
    ground    log, crypto, outbox: knows no domain at all

``node`` puts the floors together into a running node; ``cli`` is the ``wantong`` command.
"""

__version__ = "0.1.0"
