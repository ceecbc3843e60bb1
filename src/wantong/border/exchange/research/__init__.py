"""Research project spaces (科研数据): two institutions, the reviews that their data needs on both sides, what is released.

A project is known at two nodes. Which reviews a kind of data needs at which of them is data (``data/reviews.yaml``);
each review is a person's act with a paper, told to the other side by its digest. A dataset is released to a project
field by field, by two people, once every review stands on both sides; a review that is taken back ends the releases
that rest on it. What crosses then goes through the gate like anything else. Projects go out and come in as RO-Crate
1.1 (:mod:`.crate`). Serves tasks 37 and 42 of the plan.

:mod:`.reviews` and :mod:`.crate` are pure; :mod:`.services` has the verbs, :mod:`.peering` what nodes say to each other.
"""
