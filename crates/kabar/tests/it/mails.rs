//! Mails go out exactly when their cause is committed, and wait while no server takes them.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use chrono::TimeDelta;
use kabar::Platform;
use kabar::core::{Mail, MailError, Mailer, Store};
use kabar::jobs::{MailsWork, mail};
use kabar_storage::testing::each_database;
use kabar_testkit::{SeqIds, TestClock};

/// A mail server that is away at first, and refuses one address.
#[derive(Default)]
struct Post {
    away: AtomicUsize,
    taken: Mutex<Vec<Mail>>,
}

#[async_trait]
impl Mailer for Post {
    async fn send(&self, mail: &Mail) -> Result<(), MailError> {
        let away = self.away.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |n| n.checked_sub(1));
        if away.is_ok() {
            return Err(MailError::Unavailable("ayu@example.com is away".into()));
        }
        if mail.to.starts_with("nobody") {
            return Err(MailError::Refused("550".to_owned()));
        }
        self.taken.lock().unwrap().push(mail.clone());
        Ok(())
    }
}

fn letter(to: &str) -> Mail {
    Mail { to: to.to_owned(), subject: "Halo".to_owned(), text: "clear-mail-text".to_owned() }
}

#[tokio::test]
async fn mails_wait_and_go_out() {
    each_database(|test| async move {
        let post = Arc::new(Post { away: AtomicUsize::new(2), ..Post::default() });
        let clock = Arc::new(TestClock::default());
        let folder = tempfile::tempdir().unwrap();
        let platform = Platform::builder()
            .open_database(test.database.clone())
            .files(folder.path())
            .clock(clock.clone())
            .mailer(post.clone())
            .build()
            .await
            .unwrap();
        let store: &dyn Store<dyn MailsWork> = &test.database;
        let put = async |mails: Vec<Mail>, commit: bool| {
            let work = store.begin().await.unwrap();
            let now = kabar::core::Clock::now(&*clock);
            mail::enqueue(&*work, &SeqIds::after(9_000), None, mails, now).await.unwrap();
            if commit {
                work.commit().await.unwrap();
            }
        };
        put(vec![letter("rolled-back@example.com")], false).await;
        put(vec![letter("ayu@example.com"), letter("nobody@example.com")], true).await;
        if let Some(files) = test.files() {
            let clear = b"clear-mail-text";
            assert!(!files.windows(clear.len()).any(|window| window == clear), "sealed at rest");
        }
        platform.drain().await.unwrap();
        assert!(post.taken.lock().unwrap().is_empty(), "both met a server that is away");
        clock.advance(TimeDelta::hours(1));
        platform.drain().await.unwrap();
        platform.drain().await.unwrap();
        assert_eq!(*post.taken.lock().unwrap(), [letter("ayu@example.com")]);
        // Nothing is left of either.
        let work = store.begin().await.unwrap();
        let scope = kabar::core::InstallationScope::system("test");
        let end = clock.advance(TimeDelta::days(1));
        assert_eq!(work.mails().prune(scope, end).await.unwrap(), 0);
    })
    .await;
}
