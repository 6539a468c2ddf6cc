"""The console: pages for people at /console, made on the server.

Looks through the service and the resources; asks for changes through the same handlers as a call
does, so that a form is refused exactly as the call is. Knows no wire format and no store.
"""
