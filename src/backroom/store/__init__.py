"""Keeps what is decided elsewhere: SQL, rows, transactions, secrets at rest.

Compares and swaps on versions and orders lanes; never computes a state. Only bootstrap imports it.
"""
