"""Whatever a stranger, a client, a page or a module sends or writes: no server error, no traceback, no growth.

`make test TESTS=tests.fuzz` tries some hundreds of inputs, the same in every run. `make proof NAME=fuzz` tries new ones
for an hour.
"""
