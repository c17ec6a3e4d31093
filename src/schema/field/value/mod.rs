//! What field types share about values: reading JSON and raw columns, lists, moments, rendering.

pub mod list;
pub mod moment;
pub mod render;
pub mod scalar;
pub mod unique;
