"""Proof that the events of a project are all there and as they were written.

`chains` looks into a store; `bundle` writes files, and `checking` reads them with no store.
"""
