"""The outbox: what must still happen, written in the same transaction as what has happened.

``publish`` stores an event with the change that causes it; the worker delivers it to the one handler of its topic,
at least once, strictly in order within a key, with backoff. Between nodes and between floors this is the only way
that one thing leads to another, so that a crash at any instant loses nothing.
"""
