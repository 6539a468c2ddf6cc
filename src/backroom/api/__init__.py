"""The HTTP edge: routes, identity, handlers, errors to status and code. No SQL, no decisions."""
