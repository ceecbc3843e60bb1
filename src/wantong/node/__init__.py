"""The node: settings, addresses and processes that put the floors together into something that runs."""
