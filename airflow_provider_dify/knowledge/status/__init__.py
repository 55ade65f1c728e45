"""Changing the status of documents, and proving that search reflects it."""
