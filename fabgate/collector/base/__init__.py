"""What every part of the collector uses: environment, folders, logs, times, small helpers."""
