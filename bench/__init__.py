"""Benchmarks: ratios against a peer in the same interleaved run, never absolute promises."""
