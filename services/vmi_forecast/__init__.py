"""Closed days become a forecast; late facts redo it."""
