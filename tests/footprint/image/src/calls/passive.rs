//! What only the end that listens asks for. The type is that of the machine: another number of transactions would be
//! another machine, in flash too.

use hsms_core::Connection;

footprint_image::calls![Connection::<4>::refusing];
