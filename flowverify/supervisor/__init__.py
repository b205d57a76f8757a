"""What runs: one supervisor that starts the web server, the broker and the worker, and keeps them alive.

`manage.py serve` is its only caller. A file a concern:

`home`       the folder that holds all state, and who may use it
`lifeline`   what a child does so that it never outlives its supervisor
`child`      one child process: start, restart with back-off, stop
`broker`     the child that runs the embedded Valkey
`web`        the child that runs Daphne
`prepare`    database, first user, demo: all that must be there before the first request
`progress`   the demo's bounds in the console
`supervisor` the loop that ties them together
"""
