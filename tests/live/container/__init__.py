"""The image without Docker: the steps of the Dockerfile in a private root, entered with its own namespaces and limits.

`dockerfile` reads the Dockerfile, `image` performs its steps as layers, `limits` and `disk` are what a platform gives,
`box` runs the result. docs/decisions/ says what stands in for what. All of it needs root.
"""
