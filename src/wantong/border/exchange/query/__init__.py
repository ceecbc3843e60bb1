"""Query: one record about one person, for this case, instead of the whole file.

A transfer in the format :data:`FORMAT` opens a service for its receiver. The gate decides on it like on a file, once
and with its volume; from then on each call asks for one person, names its case, and is answered by the data plane with
the fields that the whitelist lets go, masked as it says, if the person's consent stands at that moment. Every call has
an entry in the provider's log that is durable before the answer leaves, and one in the asking node's.

Plan tasks 1, 3 and 4 (一网共享). The pure core: :mod:`.terms` (what an agreement allows), :mod:`.records` (the index that
is asked), :mod:`.entries` (what the log says of a call), :mod:`.journal` (durable before answered). :mod:`.plane` serves
it without a database.
"""

from typing import Final

FORMAT: Final = "HttpData-QUERY"
"""The name of this form in catalogues and transfer requests (``format`` of the Dataspace Protocol)."""
