"""Offshore data spaces (离岸数据专区): data collected outside is worked on here and returned, nothing domestic added.

A space holds what a gate of this node has let in from nodes of other jurisdictions and two people have admitted, and
what registered jobs have made of it, in a process that can open nothing else. So a result has only such data behind
it, by construction, and that is what article 4 of the Provisions on Promoting and Regulating Cross-border Data Flows
(促进和规范数据跨境流动规定, 2024-03-22) asks for the exempt way back; the gate decides that as ever. Serves task 3
of the plan (离岸数据中心).

:mod:`.lineage` and :mod:`.job` are pure; :mod:`.services` has the verbs.
"""
