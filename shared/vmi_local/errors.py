"""The one error of this package."""


class LocalServerError(Exception):
    """A server of this machine cannot do what was asked; the text is one line that says why and what to do."""
