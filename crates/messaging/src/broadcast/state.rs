//! The states of a broadcast.

use crate::message::words;

words! {
    /// How far a broadcast is.
    BroadcastState, "broadcast state":
    /// It is being written; nothing happens.
    Draft = "draft",
    /// Its recipients are gathered and checked.
    Preparing = "preparing",
    /// It waits to be started.
    Ready = "ready",
    /// It starts by itself at its time.
    Scheduled = "scheduled",
    /// It sends.
    Running = "running",
    /// It does not send until it is resumed.
    Paused = "paused",
    /// Every recipient has its message, or a reason for having none.
    Completed = "completed",
    /// It was ended early.
    Cancelled = "cancelled",
    /// It cannot be carried out; the reason says why.
    Failed = "failed",
}

impl BroadcastState {
    /// Whether it came to its end.
    pub const fn is_final(self) -> bool {
        matches!(self, Self::Completed | Self::Cancelled | Self::Failed)
    }

    /// Whether what it is to do may be changed.
    pub const fn is_editable(self) -> bool {
        matches!(self, Self::Draft | Self::Ready | Self::Scheduled)
    }
}
