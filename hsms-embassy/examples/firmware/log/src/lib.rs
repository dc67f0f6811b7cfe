//! Nothing but `tests/log`: what `hsms-embassy` logs with feature `defmt`, decoded on the host. It is a package of its own because whatever
//! is built with that feature takes a logger and a section of its own in the program.
