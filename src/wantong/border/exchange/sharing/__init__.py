"""Sharing (一网共享): public bodies ask each other for data, are answered, and get it, every step on record.

A directory (数源目录) says what there is, whose it is, and on what terms it is shared: 无条件共享, 有条件共享, 不予共享. A body
of this or another node asks; what is unconditional is granted at once, what is conditional by two people of the owner; a
grant becomes an agreement of the Dataspace Protocol between the nodes, under which data is delivered as a file, by
subscription to changes, or record by record; who received it rates it and reports what is wrong in it.

Plan tasks 4 and 41. The pure core: :mod:`.request` (a request is the fold of its acts), :mod:`.contract` (from a grant to a
policy and back), :mod:`.quality`, :mod:`.changes` (what differs between two versions), :mod:`.figures` (the dashboard).
"""
