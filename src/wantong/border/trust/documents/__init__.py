"""Documents of the three places (证件同等便利): their kinds and numbers, and which residents a form turns away.

``numbers`` are the published rules as functions of one string; ``kinds`` says of every kind of document its form, its
check, what it can prove and who could confirm it (facts in ``data/kinds.yaml``, each with source and date);
:func:`~.checking.check` puts a number to a kind and says in words what came of it; ``audit`` tries the form of a site
against all kinds. Pure but for the page and the API. Plan task 48. A well-formed number proves nobody's identity.
"""
