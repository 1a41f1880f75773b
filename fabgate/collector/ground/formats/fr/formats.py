"""How French pages write dates: as Django does, but the hour follows "à"."""

DATETIME_FORMAT = "j F Y à H:i"
