"""Operating: what is done to a house that stands: look at it, reload it, drain it, end it."""
