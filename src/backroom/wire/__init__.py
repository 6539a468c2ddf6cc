"""The vendor's words to our types and back: JSON, queries, times, error codes, signatures.

Pure functions; the only place where the wire's names (job_id, statue, public_boundwidth) occur.
No I/O, no clock, no decision about a task.
"""
