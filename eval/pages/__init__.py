"""What people see: terminal tables, progress bars, the HTML page."""
