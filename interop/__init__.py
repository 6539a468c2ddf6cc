"""Official clients against a real server: `./run interop`."""
