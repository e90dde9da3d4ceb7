"""The operator's scale, measured: real processes on a real API server, and load from processes of their own.

`sizes` and `objects` say what there is, `api` makes it, `operators` starts what is measured. `fleet`, `bare` and
`admissions` are programs that make load or take it. `phases` measures; `results`, `report` and `charts` say what came
of it.
"""
