"""Identity (三地统一身份认证, task 43 of the plan): one person, three systems, no merged register.

:mod:`.accounts` knows people, how they sign in and which of their accounts they have linked; :mod:`.provider` is the
node's OAuth 2.1 and OpenID provider, which asks it who is signed in.
"""
