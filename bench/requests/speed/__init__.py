"""What a request costs, measured: real processes, the same load on all of them, in turns.

`canned` is the provider, `collector` swallows traces and `load` sends requests: programs of their own. `systems` starts
what is measured, `peers` installs what we are measured beside. `rounds` measures; `results`, `targets`, `charts` and
`report` say what came of it.
"""
