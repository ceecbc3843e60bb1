"""Classification: what a dataset holds, how sensitive that is under each law, and how to mask it."""
