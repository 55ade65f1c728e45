"""Replacing old documents with a new version, and going back."""
