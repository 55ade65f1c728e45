"""The endpoints of knowledge bases themselves, their tags, and the models that they use."""
