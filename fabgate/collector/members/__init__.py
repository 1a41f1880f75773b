"""Who may use which machine: people, their rights and accounts, the machines, and the rosters of both."""
