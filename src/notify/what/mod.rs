//! Templates: what is said, in whose language.
