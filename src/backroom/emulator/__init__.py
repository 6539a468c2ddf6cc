"""What a test does to a whole Backroom: its time, its faults, its records. No HTTP."""
