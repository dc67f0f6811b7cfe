//! Counts of what happened, kept outside the machine.
