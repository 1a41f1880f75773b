"""What every part of the collector uses: environment, data folder, logs and times."""
