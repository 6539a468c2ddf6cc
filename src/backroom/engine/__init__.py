"""Runs tasks: one loop per file. Knows the domain, the operations and the ports.

Never the API, the service or SQL. Nothing here decides what is legal: domain.lifecycle does.
"""
