"""The safety case: who may use the machine, and when it has power. Pure code, standard library only. Read this first.

Read in this order: ``vocabulary`` (the vocabulary), ``access`` (who), ``session`` (when); then what ``session`` stands on:
``owner``, ``taps``, ``causes``, ``lasting``, ``notebook``; then ``term`` and ``meter`` (how long), ``flags``,
``strangers``, ``presence`` (what counts as a tap), ``panel`` (what people see). Nothing here does anything: events go in,
commands come out, time is an argument.

Two rules carry it. Power goes on only after the journal has confirmed that the session's start is on disk; power goes
off before anything is journalled. Both can be seen in ``session``: ``SetPower(on=True)`` is written in one place, in
the answer to ``Committed``; and ``SetPower(on=False)`` is the first command of every answer that holds it.
"""
