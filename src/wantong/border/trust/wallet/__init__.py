"""Digital spaces (个人和法人数字空间, task 48 of the plan): a person's or a firm's own credentials, files and history.

A space is a wallet on the web. It stores what issuers give (OpenID4VCI 1.0) and its holder brings, shows what he chooses
to whom he chooses (OpenID4VP 1.0), and tells him afterwards who asked for what. A firm's people act in its space by the
powers they were given. Everything in a space is sealed with a key of its own (:mod:`.vault`); its holder takes all of it
away in one file (:mod:`.archive`) and deletes all of it whenever he wants.

:mod:`.vault`, :mod:`.archive` and :mod:`.content` are pure; :mod:`.services` has the verbs.
"""
