//! Leases: one holder at a time, and only of what is wanted.

use kabar_core::{DeviceId, Page, PageRequest, PhoneNumber};
use kabar_devices::DeviceState;
use kabar_devices::lease::{Errand, Held, Lease, TTL};
use uuid::Uuid;

use super::{ONE, Sessions, TWO, seconds};
use crate::accounts::provider;

pub(super) async fn contract(sessions: &Sessions) {
    only_what_is_wanted_is_claimed(sessions).await;
    a_lease_is_held_by_one(sessions).await;
    a_renewal_tells_what_is_still_held(sessions).await;
    what_is_released_can_be_claimed(sessions).await;
    one_device_is_claimed_for_itself(sessions).await;
    its_owner_learns_what_else_a_session_is_to_do(sessions).await;
}

fn devices(leases: &[Lease]) -> Vec<DeviceId> {
    let mut ids: Vec<DeviceId> = leases.iter().map(|lease| lease.device).collect();
    ids.sort_unstable();
    ids
}

async fn only_what_is_wanted_is_claimed(sessions: &Sessions) {
    let (account, idle) = (sessions.account("Wanted").await, sessions.account("Idle").await);
    let now = sessions.now();
    let cloud = sessions.fleet.device(account, "4001").await.device.id;
    let [first, second, later, resting, removed] = [
        sessions.device(account).await,
        sessions.device(account).await,
        sessions.device(account).await,
        sessions.device(account).await,
        sessions.device(account).await,
    ];
    let inactive = sessions.device(idle).await;
    assert!(sessions.claim(ONE, now, 10).await.is_empty(), "nobody connected any");
    sessions.want(&[second, cloud, removed, inactive], Some(now - seconds(1))).await;
    sessions.want(&[first], Some(now - seconds(2))).await;
    sessions.want(&[later], Some(now + seconds(60))).await;
    sessions.want(&[resting], Some(now)).await;
    sessions.want(&[resting], None).await;
    sessions.remove(account, removed).await;
    sessions.fleet.tenancy.accounts.set_active(provider(), idle, false).await.unwrap();

    let one = sessions.claim(ONE, now, 1).await;
    assert_eq!(devices(&one), [first], "it waits longest");
    let lease = one.into_iter().next().unwrap();
    assert_eq!((lease.account, lease.node, lease.fence), (account, Some(ONE), 1));
    assert_eq!((lease.until, lease.wanted), (now + TTL, true));
    assert!(lease.is_held(now) && !lease.is_held(now + TTL));
    assert_eq!(devices(&sessions.claim(ONE, now, 10).await), [second]);
    assert_eq!(devices(&sessions.claim(TWO, now + seconds(60), 10).await).len(), 3);
    // A cloud number has no lease at all.
    let known = sessions.leases(&[cloud, removed, resting]).await;
    assert_eq!(devices(&known), [resting, removed]);
    assert!(known.iter().all(|lease| !lease.wanted));

    // What comes back is claimed.
    sessions.fleet.tenancy.accounts.set_active(provider(), idle, true).await.unwrap();
    assert_eq!(devices(&sessions.claim(ONE, now, 10).await), [inactive]);
    sessions.want(&[first, second, later, inactive], None).await;
}

async fn a_lease_is_held_by_one(sessions: &Sessions) {
    let account = sessions.account("Held").await;
    let device = sessions.device(account).await;
    let now = sessions.now();
    sessions.want(&[device], Some(now)).await;
    let mine = sessions.claim(ONE, now, 10).await;
    assert_eq!(devices(&mine), [device]);
    for node in [ONE, TWO] {
        assert!(sessions.claim(node, now + TTL - seconds(1), 10).await.is_empty());
    }
    // Whoever claims it anew gets another token, and be it the same node.
    let again = sessions.claim(ONE, now + TTL, 10).await;
    assert_eq!(again.first().map(|lease| lease.fence), Some(2));
    let theirs = sessions.claim(TWO, now + TTL + TTL, 10).await;
    assert_eq!(theirs.first().map(|lease| lease.fence), Some(3));
    for (token, holds) in [(1, false), (2, false), (3, true), (4, false)] {
        let fence = kabar_channel::Fence { device, token };
        assert_eq!(sessions.holds(fence).await, holds, "{token}");
    }
    // The wish of somebody who runs nothing does not move the lease.
    sessions.want(&[device], Some(now)).await;
    assert!(sessions.claim(ONE, now + TTL + TTL, 10).await.is_empty());
    sessions.want(&[device], None).await;
}

async fn a_renewal_tells_what_is_still_held(sessions: &Sessions) {
    let account = sessions.account("Renewed").await;
    let now = sessions.now();
    let node = Uuid::from_u128(77);
    let mut all = Vec::new();
    for _ in 0..4 {
        all.push(sessions.device(account).await);
    }
    sessions.want(&all, Some(now)).await;
    assert_eq!(sessions.claim(node, now, 10).await.len(), 4);
    assert!(sessions.renew(Uuid::from_u128(78), now).await.is_empty());
    let held = sessions.renew(node, now + seconds(2)).await;
    assert_eq!(devices(&held), all);
    assert!(held.iter().all(|lease| lease.until == now + seconds(2) + TTL && lease.fence == 1));

    // One is no longer wanted, one is removed: the first is told, the second is gone.
    let mut rest = all.clone();
    let (removed, unwanted) = (rest.pop().unwrap(), rest.pop().unwrap());
    sessions.want(&[unwanted], None).await;
    sessions.remove(account, removed).await;
    let held = sessions.renew(node, now + seconds(4)).await;
    assert_eq!(held.len(), 3);
    assert!(held.iter().all(|lease| lease.wanted == (lease.device != unwanted)));
    sessions.fleet.tenancy.accounts.set_active(provider(), account, false).await.unwrap();
    let held = sessions.renew(node, now + seconds(4)).await;
    assert!(held.iter().all(|lease| !lease.wanted));
    sessions.fleet.tenancy.accounts.set_active(provider(), account, true).await.unwrap();

    // What is over is over, whether somebody took it or not.
    let over = now + seconds(4) + TTL;
    assert!(sessions.renew(node, over).await.is_empty());
    let next = Uuid::from_u128(80);
    let taken = sessions.claim(next, over, 10).await;
    assert_eq!(devices(&taken), rest);
    assert!(sessions.renew(node, over).await.is_empty());
    assert_eq!(devices(&sessions.renew(next, over).await), rest);
    sessions.want(&all, None).await;
}

async fn what_is_released_can_be_claimed(sessions: &Sessions) {
    let account = sessions.account("Released").await;
    let (a, b) = (sessions.device(account).await, sessions.device(account).await);
    let now = sessions.now();
    let node = Uuid::from_u128(79);
    sessions.want(&[a, b], Some(now)).await;
    let fences: Vec<_> = sessions.claim(node, now, 10).await.iter().map(Lease::fence).collect();
    // Neither another node nor an older token gives it back.
    sessions.release(TWO, &fences, now).await;
    let older =
        fences.iter().map(|fence| kabar_channel::Fence { token: fence.token - 1, ..*fence });
    sessions.release(node, &older.collect::<Vec<_>>(), now).await;
    assert!(sessions.claim(TWO, now, 10).await.is_empty());
    sessions.release(node, &fences, now + seconds(30)).await;
    let released = sessions.leases(&[a, b]).await;
    assert!(released.iter().all(|lease| lease.node.is_none() && !lease.is_held(now)));
    assert!(sessions.claim(TWO, now + seconds(29), 10).await.is_empty());
    assert!(sessions.renew(node, now).await.is_empty());
    // Connecting it on purpose does not wait.
    sessions.want(&[a], Some(now)).await;
    let taken = sessions.claim(TWO, now, 10).await;
    assert_eq!((devices(&taken), taken.first().map(|l| l.fence)), (vec![a], Some(2)));
    assert_eq!(devices(&sessions.claim(TWO, now + seconds(30), 10).await).len(), 2);
    sessions.release(node, &[], now).await;
    sessions.want(&[a, b], None).await;
}

async fn one_device_is_claimed_for_itself(sessions: &Sessions) {
    let account = sessions.account("One").await;
    let now = sessions.now();
    let cloud = sessions.fleet.device(account, "4002").await.device.id;
    let device = sessions.device(account).await;
    assert!(sessions.leases(&[device]).await.is_empty());
    assert!(sessions.claim_one(ONE, cloud, now).await.is_none());
    let lease = sessions.claim_one(ONE, device, now).await.unwrap();
    assert_eq!((lease.fence, lease.wanted, lease.account), (1, false, account));
    assert!(sessions.claim_one(TWO, device, now).await.is_none());
    // Nobody else comes for it when it is let go: it is not wanted.
    assert!(sessions.claim(TWO, now + TTL, 10).await.is_empty());
    assert_eq!(sessions.claim_one(TWO, device, now + TTL).await.unwrap().fence, 2);
    sessions.remove(account, device).await;
    assert!(sessions.claim_one(ONE, device, now + TTL + TTL).await.is_none());
}

async fn its_owner_learns_what_else_a_session_is_to_do(sessions: &Sessions) {
    let account = sessions.account("Errand").await;
    let (device, other) = (sessions.device(account).await, sessions.device(account).await);
    let now = sessions.now();
    let node = Uuid::from_u128(81);
    sessions.want(&[device, other], Some(now)).await;
    let link = Errand::Link(PhoneNumber::from_digits("6281234567890").unwrap());
    sessions.send_on(device, &link).await;
    let claimed = sessions.claim(node, now, 10).await;
    let of = |leases: &[Lease], device| {
        leases.iter().find(|lease| lease.device == device).map(|lease| lease.errand.clone())
    };
    assert_eq!((of(&claimed, device), of(&claimed, other)), (Some(link), Some(Errand::None)));
    // One takes the place of the one before.
    for errand in [Errand::LogOut(now), Errand::None] {
        sessions.send_on(device, &errand).await;
        let held = sessions.renew(node, now).await;
        assert_eq!((of(&held, device), of(&held, other)), (Some(errand), Some(Errand::None)));
    }
    sessions.want(&[device, other], None).await;

    // Newest device first, page by page, without those that were removed.
    sessions.remove(account, other).await;
    let newest = sessions.device(account).await;
    sessions.want(&[newest], None).await;
    let first = sessions.list(PageRequest::new(Some(1), None)).await;
    let second = sessions.list(PageRequest::new(Some(1), first.next)).await;
    let of =
        |page: &Page<Held>| page.items.iter().map(|held| held.lease.device).collect::<Vec<_>>();
    assert_eq!((of(&first), of(&second)), (vec![newest], vec![device]));
    let held = second.items.into_iter().next().unwrap();
    assert_eq!((held.name.as_str(), held.state), ("Paired", DeviceState::Disconnected));
    assert_eq!((held.lease.node, held.lease.account), (Some(node), account));
}
