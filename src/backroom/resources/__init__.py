"""Reads and synchronous writes of what is not a task: instances, accounts.

No HTTP, no SQL. What takes time is an operation, not a resource.
"""
