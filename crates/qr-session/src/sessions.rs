//! The sessions that run in this process.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use kabar_core::DeviceId;

use crate::session::Session;

/// The sessions that run in this process, by device. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub(crate) struct Sessions(Arc<RwLock<HashMap<DeviceId, Arc<Session>>>>);

impl Sessions {
    /// The session of a device.
    pub(crate) fn get(&self, device: DeviceId) -> Option<Arc<Session>> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).get(&device).cloned()
    }

    /// Adds a session; returns the one that was there.
    pub(crate) fn put(&self, session: Arc<Session>) -> Option<Arc<Session>> {
        let device = session.fence().device;
        self.0.write().unwrap_or_else(PoisonError::into_inner).insert(device, session)
    }

    /// Takes the session of a device out, if it runs under this token.
    pub(crate) fn take(&self, device: DeviceId, token: u64) -> Option<Arc<Session>> {
        let mut sessions = self.0.write().unwrap_or_else(PoisonError::into_inner);
        let runs = sessions.get(&device).is_some_and(|session| session.fence().token == token);
        if runs { sessions.remove(&device) } else { None }
    }

    /// Every session.
    pub(crate) fn all(&self) -> Vec<Arc<Session>> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).values().cloned().collect()
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.0.read().unwrap_or_else(PoisonError::into_inner).len()
    }
}
