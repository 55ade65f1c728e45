"""The verbs of the hook that are about knowledge bases themselves."""
