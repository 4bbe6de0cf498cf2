"""Policies as pure functions: when to order and up to where, each with the source of its formula."""
