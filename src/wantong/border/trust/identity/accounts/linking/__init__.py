"""Linking two accounts of one person (三地统一身份认证): seen together, never merged.

:mod:`.sitting` is the one way in which a link comes to be, as a pure state machine; :mod:`.matching` says whether what two
systems have verified can be the same person; :mod:`.names` makes names comparable. :mod:`.services` has the verbs.
"""
