"""The verifier (task 47 of the plan): a body of this node asks somebody to show credentials, and is told what to think of it.

Speaks OpenID4VP 1.0 as HAIP 1.0 profiles it, on the same device (the holder's browser goes to his wallet and comes
back) and across devices (a code on one screen, the wallet on another). What is asked is chosen from ready questions
(``data/questions.yaml``) or written in DCQL; :mod:`wantong.border.trust.credentials.judging` judges the answer. What was
shown is kept as long as the question says, or until its holder takes it back.
"""
