"""Fields and checks that forms of several areas share."""
