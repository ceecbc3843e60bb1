"""Letting somebody in again who has lost every way in: two people of the back office, and neither is he."""
