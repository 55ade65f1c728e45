"""Contents become documents, each exactly once."""
