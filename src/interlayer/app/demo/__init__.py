"""A web page to try the package on: `interlayer demo`."""
