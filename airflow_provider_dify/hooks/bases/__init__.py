"""The methods of the hook for knowledge bases themselves."""
