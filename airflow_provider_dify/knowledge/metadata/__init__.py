"""The metadata of documents."""
