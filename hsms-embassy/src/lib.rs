//! HSMS on embedded TCP stacks. Empty so far: the adapter is yet to be written; `hsms-core` can be used directly, as the
//! super-loop example of the tests shows.
#![no_std]
