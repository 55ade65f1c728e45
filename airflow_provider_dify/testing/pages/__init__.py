"""Pages for a browser, which show what a Dify holds."""
