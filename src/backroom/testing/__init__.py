"""A Backroom in the process of a test, and the pytest plugin that brings it.

Nothing is imported before a test asks for it: pytest loads the plugin at every start.
"""
