"""
The process behind `ld-server up`: it starts the parts of the service as child processes and keeps them running.

`launcher` makes a child die with us, `children` describes and holds one, `watch` starts, restarts and stops them all,
`claims` takes the data directory and the port, `household` says which children a deployment has, `banner` greets.
"""
