"""The operator's scale, measured: real processes on a real API server, and load from processes of their own.

`sizes` and `objects` say what there is, `cluster` and `operators` start it, `fleet`, `bare` and `admissions` are programs
that make load or take it, `phases` measures, and `results`, `report` and `charts` say what came of it.
"""
