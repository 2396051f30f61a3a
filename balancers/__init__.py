"""Built-in balancers. Each is a plug-in like a third party's; every file has the same shape."""
