"""The methods of the hook for knowledge bases themselves, their tags, and chunks of documents."""
