"""Open data: what anybody may have, published once and served in the forms that others expect (开放广东, 资料一线通).

A dataset passes the gate's scan, gets a version with receipt, and is offered as CSV, JSON and Parquet, through the CKAN
Action API, as DCAT-AP 3 and as a page. Catalogues of others are harvested beside it. Plan tasks 6 and 42.

The pure core: :mod:`.record` (what an owner says), :mod:`.tables` (typed tables and their files), :mod:`.datastore`
(questions to a table), :mod:`.quality`, :mod:`.charts`, :mod:`.cite`, :mod:`.graph` with :mod:`.dcat` and :mod:`.shapes`,
:mod:`.filters` (CKAN's query language), :mod:`.harvesting`.
"""
