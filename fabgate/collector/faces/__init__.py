"""What the collector shows and answers: pages for people, an interface for programs, rosters for gates."""
