"""Which documents are meant, and how many may be."""
