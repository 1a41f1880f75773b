"""The safety case: who may use the machine, and when it has power. Pure code, standard library only. Read this first.

An event goes in, commands come out, and time is an argument::

    gate.Gate.handle      takes one event: a tap, a button, a cause, the journal's confirmation, a deadline
      taps, causes,       decide what it means. They read what is known (``machine.Machine``, frozen), change nothing,
      in_session, starts  and return intents (``intents``)
      power.Power         carries the intents out, and makes the commands

===================  ================================================================================================
WHO may start        ``access``: one decision on one badge, with every reason; ``starts``: decided again before power
WHAT a tap means     ``taps``, by phase; ``refusals``: unknown badges, and what is recorded of refusals; ``flags``:
                     reports of a defect; ``presence``: when a card on the reader counts as a tap
WHEN power is on     ``power``: the table of phases, begin, end, cut, deadlines
what else ends it    ``causes``: what forbids use; ``in_session``: stop button, run-sense, grace, access that is lost
how long             ``term``: limits, warnings and extensions; ``meter``: minutes counted
what is known        ``machine``: phase, session, rules; ``bookkeeping``: how that changes where no power is at stake
what people see      ``panel``
the words            ``vocabulary``: rules, causes, people, events, facts, commands
===================  ================================================================================================

Two rules carry it. Power goes on only after the journal has confirmed that the session's start is on disk; power goes
off before anything is journalled. Both can be seen in ``power``: ``SetPower(on=True)`` is written in one place, in the
answer to ``Committed``, and ``SetPower(on=False)`` is the first command of every answer that holds it.
"""
