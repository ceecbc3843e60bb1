"""The border: trust, gate and exchange, the rooms through which everything crosses."""
