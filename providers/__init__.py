"""Built-in providers. Each is a plug-in like a third party's; every folder has the same file names."""
