"""Speed and cost of the exchange, as ratios in one run: ``python -m benchmarks.exchange``."""
