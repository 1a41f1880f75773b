"""The threads of the badge reader and the inputs."""
