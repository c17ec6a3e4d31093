//! What field types share about values: reading JSON and raw columns, lists, moments, addresses, rendering.

pub mod address;
pub mod list;
pub mod moment;
pub mod render;
pub mod scalar;
