//! What a link can suffer, to be made at will.
