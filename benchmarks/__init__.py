"""Measurements beside peers and the machine; `python -m benchmarks.NAME`."""
