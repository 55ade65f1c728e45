"""Knowledge bases themselves."""
