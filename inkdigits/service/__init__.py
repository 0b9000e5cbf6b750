"""Reading over HTTP, and the page on which people draw digits."""
