"""The same readings over HTTP, and the page on which people draw."""
