//! Fences: who lost a device writes no more.

use kabar_channel::vault::{Change, Fence, Item, SessionVault, VaultError};
use kabar_devices::lease::TTL;

use super::vault::{all, put};
use super::{ONE, OTHER, SHELF, Sessions};

pub(super) async fn contract(sessions: &Sessions) {
    a_takeover_ends_every_write(sessions).await;
    a_lease_that_nobody_took_still_writes(sessions).await;
    a_removed_device_keeps_nothing(sessions).await;
    a_device_without_a_lease_is_not_written_to(sessions).await;
}

/// Every way to write is refused under a fence.
async fn refused(vault: &dyn SessionVault, fence: Fence) {
    let item = || vec![Item::new("late", &b"late"[..])];
    let keys = || vec![b"k".to_vec()];
    let changes = [
        vec![Change::Put { shelf: SHELF, items: item() }],
        vec![Change::Raise { shelf: SHELF, items: item() }],
        vec![Change::Mark { shelf: SHELF, keys: keys(), mark: 9 }],
        vec![Change::Remove { shelf: SHELF, keys: keys() }],
        vec![Change::RemovePrefix { shelf: SHELF, prefix: Vec::new() }],
        vec![Change::RemoveTagged { shelf: SHELF, tags: vec![b"t".to_vec()] }],
        vec![Change::Clear],
        vec![Change::Put { shelf: OTHER, items: item() }, Change::Clear],
    ];
    for change in changes {
        let answer = vault.write(fence, change.clone()).await;
        assert!(is_fenced(&answer, fence), "{change:?}: {answer:?}");
    }
    let answer = vault.take(fence, SHELF, b"k").await;
    assert!(is_fenced(&answer, fence), "{answer:?}");
    let answer = vault.sweep(fence, SHELF, i64::MAX).await;
    assert!(is_fenced(&answer, fence), "{answer:?}");
}

fn is_fenced<T>(answer: &Result<T, VaultError>, fence: Fence) -> bool {
    matches!(answer, Err(VaultError::Fenced(device)) if *device == fence.device)
}

async fn a_takeover_ends_every_write(sessions: &Sessions) {
    let vault = &*sessions.vault;
    let mine = sessions.held().await;
    let kept = [Item::new("k", &b"kept"[..]).due(1).marked(1).tagged("t")];
    put(vault, mine, SHELF, &kept).await;
    let theirs = sessions.taken_over(mine).await;
    assert!(theirs.token > mine.token);
    refused(vault, mine).await;
    // Nor is a token good that nobody has yet.
    refused(vault, Fence { token: theirs.token + 1, ..theirs }).await;
    refused(vault, Fence { token: u64::MAX, ..theirs }).await;
    assert_eq!(all(vault, theirs, SHELF).await, kept);
    assert!(all(vault, theirs, OTHER).await.is_empty());
    put(vault, theirs, SHELF, &[Item::new("k", &b"theirs"[..])]).await;
    assert_eq!(all(vault, theirs, SHELF).await, [Item::new("k", &b"theirs"[..])]);
}

/// What a node has written behind is not lost because it was late, or has let go: nobody else wrote.
async fn a_lease_that_nobody_took_still_writes(sessions: &Sessions) {
    let vault = &*sessions.vault;
    let fence = sessions.held().await;
    assert!(sessions.renew(ONE, sessions.now() + TTL).await.is_empty());
    put(vault, fence, SHELF, &[Item::new("k", &b"late"[..])]).await;
    sessions.release(ONE, &[fence], sessions.now()).await;
    put(vault, fence, SHELF, &[Item::new("k", &b"later"[..])]).await;
    sessions.taken_over(fence).await;
    refused(vault, fence).await;
}

async fn a_removed_device_keeps_nothing(sessions: &Sessions) {
    let vault = &*sessions.vault;
    let account = sessions.account("Gone").await;
    let device = sessions.device(account).await;
    let fence = sessions.claim_one(ONE, device, sessions.now()).await.unwrap().fence();
    put(vault, fence, SHELF, &[Item::new("k", &b"v"[..])]).await;
    sessions.remove(account, device).await;
    assert!(all(vault, fence, SHELF).await.is_empty());
    refused(vault, fence).await;
    assert!(all(vault, fence, SHELF).await.is_empty());
}

async fn a_device_without_a_lease_is_not_written_to(sessions: &Sessions) {
    let account = sessions.account("Never").await;
    let device = sessions.device(account).await;
    for token in [0, 1] {
        refused(&*sessions.vault, Fence { device, token }).await;
    }
    sessions.want(&[device], None).await;
    // Its lease is there now, with the token 0, which nobody was ever given.
    refused(&*sessions.vault, Fence { device, token: 1 }).await;
}
