"""Exchange: datasets are offered, agreed on and carried from node to node.

Speaks the Dataspace Protocol 2025-1 (catalog, contract negotiation, transfer process; both roles) in plain JSON
checked by its JSON Schemas, describes datasets with DCAT 3, and carries payloads by HTTP range requests with a
digest a chunk. A crossing runs inside a transfer: the provider's gate decides before a byte leaves, the consumer's
gate before the data is used.

Plan tasks 1, 3, 4, 6 and 37. The pure core: :mod:`.negotiation` and :mod:`.transfer` (state machines),
:mod:`.schemas` and :mod:`.messages` (the wire), :mod:`.terms` (offers and agreements), :mod:`.download`. Of connectors
of another make tell :mod:`.discovery` and ``Peer.foreign``.
"""
