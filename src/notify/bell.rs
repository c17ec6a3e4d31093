//! The bells of the room: whoever makes work rings for whoever does it, so that nobody polls.

use std::sync::Arc;

use crate::{clock::Timestamp, db::WriteTx, jobs::Alarm};

/// One alarm for each loop of the room.
#[derive(Debug, Default)]
pub struct Bells {
    /// An intent may be new.
    pub expand: Alarm,
    /// A delivery is due, or will be.
    pub dispatch: Alarm,
    /// An item of an inbox comes back.
    pub inbox: Alarm,
}

impl Bells {
    /// Deliveries written in this transaction are due from `time` on.
    pub fn due_at(self: &Arc<Self>, tx: &mut WriteTx<'_>, time: Timestamp) {
        let bells = self.clone();
        tx.after_commit(move || bells.dispatch.set(time));
    }
}
