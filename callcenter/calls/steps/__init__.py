"""The steps of a flow that are more than a line or two, one file each."""
