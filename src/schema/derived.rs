//! A place in the catalog for what higher floors derive from it (compiled rules): it lives and dies with the snapshot,
//! so nothing derived can outlast what it was derived from.

use std::{any::Any, fmt, sync::OnceLock};

/// One value of a type that this floor does not know.
#[derive(Default)]
pub(super) struct Derived(OnceLock<Box<dyn Any + Send + Sync>>);

impl Derived {
    /// The value, made by the first who asks. There is room for one type only.
    pub fn get<T: Any + Send + Sync>(&self, make: impl FnOnce() -> T) -> &T {
        self.0.get_or_init(|| Box::new(make())).downcast_ref().expect("one room derives one type from the catalog")
    }
}

impl fmt::Debug for Derived {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Derived")
    }
}
