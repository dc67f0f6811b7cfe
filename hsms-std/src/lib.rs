//! HSMS on std sockets.
