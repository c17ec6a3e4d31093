//! The write path over a real database.

mod accounts;
mod batches;
mod bulk;
mod cascades;
mod house;
mod notify;
mod rules;
mod side_effects;
mod trials;
mod undeletes;
mod uploads;
mod values;
