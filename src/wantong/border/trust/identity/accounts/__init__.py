"""Accounts of people (统一身份认证, task 43 of the plan): how they sign in, how sure that is, what they have linked.

An account is what stands behind one issuer's word for one person; two of them are never merged. A person may link two of
his own, in one sitting in which he has signed in to both and a document names him on either side (:mod:`.linking`).
Levels of identity, of authentication and of federation are kept apart (:mod:`.levels`, after NIST SP 800-63). Passkeys
are WebAuthn (:mod:`.passkeys`); other people's systems are spoken to through :mod:`.sources`. All of these are pure.

Who is there, :mod:`.presence` says.
"""

from wantong.border.trust.identity.accounts.levels import Assurance, Levels, Table, effective

__all__ = ["Assurance", "Levels", "Table", "effective"]
