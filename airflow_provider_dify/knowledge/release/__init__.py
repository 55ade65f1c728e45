"""Putting a version of documents in the place of another, and going back."""
