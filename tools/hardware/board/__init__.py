"""The gate board A3: its schematic, and where its parts are soldered."""
