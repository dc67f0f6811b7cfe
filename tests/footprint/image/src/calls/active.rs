//! What only the end that dials asks for.

use hsms_core::Connection;

footprint_image::calls![Connection::<4>::select];
