"""Long tables as CSV and XLSX, without keeping them in memory, and without formulas in texts."""
