"""Recorded requests with what is expected of their answers, asked of two sides and compared.

`suites` and `reading` know what is asked and expected, `properties` whether an answer has it, `comparing` what came of
all, `sides` who answers: all pure. `asking` calls models, through both planes, and `recording` kubectl.
"""
