"""The safety case: who may use the machine, and when it has power. Pure code, standard library only.

README.md ("How it decides") says in which order to read it.

An event goes in, commands come out, and time is an argument::

    gate.Gate.handle  takes one event: a tap, a button, a cause, the journal's confirmation, a deadline
      reactions       decide what it means. They read what is known (``machine.Machine``, frozen), and return intents
                      (``intents``)
      power.Power     carries the intents out, and makes the commands

===================  ================================================================================================
WHO may start ``access``: one decision on one badge, with every reason; ``presence``: when a card on the reader
                     counts as a tap; ``readers``: what several readers at one machine mean
WHAT an event means  ``reactions``, returned as ``intents``
  a tap              ``taps``, by phase; ``starts``: decided again before power; ``refusals``: unknown badges, and what
                     is recorded of refusals; ``flags``: reports of a defect
  what else ends it  ``cause_changes``: what forbids use; ``in_session``: stop button, run-sense, grace, lost access
WHEN power is on     ``power``: the table of phases, begin, end, cut, deadlines
how long             ``term``: limits, warnings and extensions; ``meter``: minutes counted; ``sensing``: whether the
                     machine works, by what it takes
what is known        ``machine``: phase, session, rules; ``bookkeeping``: changes of it that do not touch power
what people see      ``panel``
the words            ``vocabulary``: rules, causes, people, events, facts, commands
===================  ================================================================================================

Two rules are its core. Power goes on only after the journal has confirmed that the session's start is on disk; power
goes off before anything is journalled. Both can be seen in ``power``: ``SetPower(on=True)`` is written in one place, in
the answer to ``Committed``, and ``SetPower(on=False)`` is always the first command of an answer.
"""
