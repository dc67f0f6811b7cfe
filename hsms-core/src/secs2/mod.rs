//! SECS-II items (E5): read where they lie, and written where they belong.
