//! What sessions are to do besides running.

use std::sync::Arc;
use std::time::Duration;

use chrono::TimeDelta;
use kabar_devices::lease::{Errand, Lease};

use super::Inner;
use crate::session::Session;
use crate::session::news::End;

/// How long a session that is to log out tries to tell WhatsApp so. After that it is erased without:
/// whoever logs a device out wants its keys gone.
const LEAVE_WITHIN: TimeDelta = TimeDelta::seconds(30);
/// How long a session waits to be paired: the codes to scan work for 160 s (one minute, then five
/// times 20 s), one to type for 180 s.
const PAIRED_WITHIN: Duration = Duration::from_secs(200);

impl Inner {
    /// Looks after the errands of the sessions that run here.
    pub(super) async fn run_errands(&self, held: &[Lease]) {
        for lease in held {
            let Some(session) = self.sessions.get(lease.device) else { continue };
            if session.fence().token != lease.fence {
                continue;
            }
            match &lease.errand {
                Errand::LogOut(asked) => {
                    self.log_out(session, self.now() - *asked).await;
                }
                _ if session.is_paired() => {}
                errand => self.pair(session, errand).await,
            }
        }
    }

    async fn log_out(&self, session: Arc<Session>, since: TimeDelta) {
        if session.is_paired() && since < LEAVE_WITHIN {
            if session.is_connected() {
                // Its answer may take longer than leases can wait.
                tokio::spawn(async move { session.leave().await });
            }
            return;
        }
        let told = !session.is_paired();
        self.end_as(&session, End::Left { told }).await;
    }

    /// A session that waits to be paired does so in the way that is wanted now, and not for ever.
    async fn pair(&self, session: Arc<Session>, errand: &Errand) {
        let link = match errand {
            Errand::Link(number) => Some(number),
            _ => None,
        };
        if session.link() != link {
            self.start_again(session).await;
        } else if session.age() > PAIRED_WITHIN {
            self.end_as(&session, End::NotPaired).await;
        }
    }

    async fn end_as(&self, session: &Arc<Session>, end: End) {
        if let Err(error) = self.ended(session, end).await {
            let device = session.fence().device;
            tracing::warn!(%device, error = &error as &dyn std::error::Error, "sessions.end");
        }
    }
}
