"""What the exchange tells those above it, inside the transaction in which it happens."""

from django.dispatch import Signal

moved = Signal()
"""A negotiation or transfer (``process``) has come to a new state. Sent by its class; what a receiver raises undoes the move."""
