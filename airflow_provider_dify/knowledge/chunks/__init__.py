"""The chunks (segments) of a document, one by one."""
