"""The kinds of change one can ask for, one file each, and their catalogue.

A step observes first and applies only what is missing, so that it may run twice. No HTTP, no SQL,
no Kafka library: ports only.
"""
