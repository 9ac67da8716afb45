"""The event loop by name: clock, driver of the cores, scopes."""
