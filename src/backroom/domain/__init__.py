"""What a task, an instance and an account are, and which changes of a task are legal.

Pure values and pure functions. No I/O, no clock, no database, no JSON, nothing of ours above it.
"""
