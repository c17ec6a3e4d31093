//! The bells of the room: whoever makes work rings for whoever does it, so that nobody polls.

use std::sync::Arc;

use super::Channel;
use crate::{clock::Timestamp, db::WriteTx, jobs::Alarm};

/// One alarm for each loop of the room.
#[derive(Debug, Default)]
pub struct Bells {
    /// An intent may be new.
    pub expand: Alarm,
    /// An item of an inbox comes back.
    pub inbox: Alarm,
    /// A delivery is due, or will be: by channel, in the order of [`Channel::ALL`].
    lanes: [Alarm; Channel::ALL.len()],
}

impl Bells {
    /// Deliveries written in this transaction are due from `time` on.
    pub fn due_at(self: &Arc<Self>, tx: &mut WriteTx<'_>, time: Timestamp) {
        let bells = self.clone();
        tx.after_commit(move || bells.lanes.iter().for_each(|lane| lane.set(time)));
    }

    /// The alarm of a channel's loop.
    pub fn lane(&self, channel: Channel) -> &Alarm {
        &self.lanes[channel as usize]
    }
}
