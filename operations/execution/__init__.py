"""What every operation shares: rate, patience, state files, settling."""
