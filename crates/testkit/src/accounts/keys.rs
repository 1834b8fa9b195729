//! API keys and who they let in.

use std::collections::BTreeSet;

use chrono::TimeDelta;
use kabar_accounts::{AuthError, CreatedKey, KeyError, Networks, NewKey};
use kabar_core::permission::{ReadKeys, ReadMessages, WriteKeys};
use kabar_core::principal::Actor;
use kabar_core::{
    AccountId, Clock as _, Denied, ExposeSecret as _, PageRequest, Permission, Principal, Role,
    Timestamp, UserId,
};
use uuid::Uuid;

use super::{Tenancy, grant, once, owner, provider};

pub(super) async fn contract(tenancy: &Tenancy) {
    a_key_lets_its_holder_in(tenancy).await;
    whatever_is_wrong_looks_the_same(tenancy).await;
    nobody_gives_what_they_lack(tenancy).await;
    the_last_use_is_noted_once_a_minute(tenancy).await;
    tenants_see_their_own(tenancy).await;
    a_retried_key_hides_its_secret(tenancy).await;
}

fn new_key(permissions: impl IntoIterator<Item = Permission>) -> NewKey {
    NewKey {
        name: "Shop".to_owned(),
        permissions: permissions.into_iter().collect(),
        allowed: Networks::default(),
        expires_at: None,
    }
}

async fn make(tenancy: &Tenancy, account: AccountId, new: NewKey) -> CreatedKey {
    let (write, creator) = (grant::<WriteKeys>(account), owner(account));
    tenancy.keys.create(&write, &creator, new, None).await.unwrap()
}

async fn enter(tenancy: &Tenancy, made: &CreatedKey) -> Result<Principal, AuthError> {
    let secret = made.secret.as_ref().unwrap();
    tenancy.authenticator.authenticate(secret.expose_secret()).await
}

async fn a_key_lets_its_holder_in(tenancy: &Tenancy) {
    let account = tenancy.account("Keys").await;
    let made = make(tenancy, account, new_key([Permission::ReadMessages])).await;
    let principal = enter(tenancy, &made).await.unwrap();
    assert_eq!(principal.actor(), Actor::ApiKey(made.key.id));
    assert_eq!(principal.account(), Some(account));
    assert!(principal.grant::<ReadMessages>(None).is_ok());
    assert!(principal.grant::<WriteKeys>(None).is_err());

    let admin = Principal::system("contract");
    let every = new_key(Permission::ALL.iter().copied());
    let made = tenancy.keys.create_provider(provider(), &admin, every, None).await.unwrap();
    let principal = enter(tenancy, &made).await.unwrap();
    assert_eq!(principal.account(), None);
    assert!(principal.grant_installation::<ReadKeys>().is_ok());
}

async fn whatever_is_wrong_looks_the_same(tenancy: &Tenancy) {
    let account = tenancy.account("Refused").await;
    let permissions = [Permission::ReadMessages];
    let refused = async |text: &str, what: &str| {
        let refused = tenancy.authenticator.authenticate(text).await;
        assert!(matches!(refused, Err(AuthError::Unauthorized)), "{what}: {refused:?}");
    };
    let text = |made: &CreatedKey| made.secret.as_ref().unwrap().expose_secret().to_owned();

    let (one, two) = (
        make(tenancy, account, new_key(permissions)).await,
        make(tenancy, account, new_key(permissions)).await,
    );
    let (head, _) = text(&one).rsplit_once('_').map(|(h, t)| (h.to_owned(), t.to_owned())).unwrap();
    let tail = text(&two).chars().rev().take(43).collect::<Vec<_>>();
    let mixed = format!("{head}_{}", tail.into_iter().rev().collect::<String>());
    refused(&mixed, "another key's random part").await;
    refused("", "nothing").await;
    refused(
        "kbr_00000000000000000000000000000000_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
        "unknown",
    )
    .await;

    let write = grant::<WriteKeys>(account);
    let revoked = tenancy.keys.revoke(&write, one.key.id).await.unwrap();
    assert!(revoked.revoked_at.is_some());
    assert_eq!(tenancy.keys.revoke(&write, one.key.id).await.unwrap(), revoked);
    refused(&text(&one), "revoked").await;

    let ends = tenancy.clock.now() + TimeDelta::hours(1);
    let short = NewKey { expires_at: Some(ends), ..new_key(permissions) };
    let short = make(tenancy, account, short).await;
    assert!(enter(tenancy, &short).await.is_ok());
    tenancy.clock.set(ends);
    refused(&text(&short), "expired").await;

    tenancy.accounts.set_active(provider(), account, false).await.unwrap();
    refused(&text(&two), "inactive account").await;
    tenancy.accounts.set_active(provider(), account, true).await.unwrap();
    assert!(enter(tenancy, &two).await.is_ok());
}

async fn nobody_gives_what_they_lack(tenancy: &Tenancy) {
    let keys = &tenancy.keys;
    let account = tenancy.account("Lacking").await;
    let extra = [Permission::WriteKeys];
    let agent =
        Principal::user(UserId::from(Uuid::from_u128(5)), Role::Agent, Some(account), extra);
    let write = agent.grant::<WriteKeys>(None).unwrap();
    let wanted = new_key([Permission::SendMessages, Permission::WriteUsers]);
    let refused = keys.create(&write, &agent, wanted, None).await;
    assert!(
        matches!(refused, Err(KeyError::Denied(Denied::Permission(Permission::WriteUsers)))),
        "{refused:?}"
    );
    // Somebody else's permissions do not count.
    let refused =
        keys.create(&write, &owner(account), new_key([Permission::WriteUsers]), None).await;
    assert!(matches!(refused, Err(KeyError::Denied(_))), "{refused:?}");

    let admin = Principal::system("contract");
    let write = admin.grant::<WriteKeys>(Some(account)).unwrap();
    let past =
        NewKey { expires_at: Some(tenancy.clock.now()), ..new_key([Permission::ReadMessages]) };
    for (field, new) in [
        ("permissions", new_key([])),
        ("permissions", new_key([Permission::WriteAccounts])),
        ("expires_at", past),
        ("name", NewKey { name: String::new(), ..new_key([Permission::ReadMessages]) }),
    ] {
        let refused = keys.create(&write, &admin, new, None).await;
        assert!(matches!(&refused, Err(KeyError::Invalid(e)) if e.field == field), "{refused:?}");
    }
}

async fn the_last_use_is_noted_once_a_minute(tenancy: &Tenancy) {
    let account = tenancy.account("Used").await;
    let made = make(tenancy, account, new_key([Permission::ReadMessages])).await;
    let used = async || -> Option<Timestamp> {
        enter(tenancy, &made).await.unwrap();
        tenancy.authenticator.settled().await;
        let key = tenancy.keys.get(&grant(account), made.key.id).await.unwrap();
        key.last_used_at
    };
    let start = tenancy.clock.now();
    assert_eq!(used().await, Some(start));
    tenancy.clock.advance(TimeDelta::seconds(59));
    assert_eq!(used().await, Some(start));
    let later = tenancy.clock.advance(TimeDelta::seconds(1));
    assert_eq!(used().await, Some(later));
}

async fn tenants_see_their_own(tenancy: &Tenancy) {
    let keys = &tenancy.keys;
    let (mine, other) = (tenancy.account("Mine").await, tenancy.account("Other").await);
    let made = make(tenancy, mine, new_key([Permission::ReadMessages])).await.key;
    let page = PageRequest::default();
    assert_eq!(keys.list(&grant(mine), page).await.unwrap().items, std::slice::from_ref(&made));
    assert_eq!(keys.list(&grant(other), page).await.unwrap().items, []);
    let of_provider = keys.list_provider(provider(), page).await.unwrap().items;
    assert!(of_provider.iter().all(|key| key.account.is_none()));
    for refused in [
        keys.get(&grant(other), made.id).await,
        keys.revoke(&grant(other), made.id).await,
        keys.get_provider(provider(), made.id).await,
        keys.revoke_provider(provider(), made.id).await,
    ] {
        assert!(matches!(refused, Err(KeyError::NotFound)), "{refused:?}");
    }
    assert_eq!(keys.get(&grant(mine), made.id).await.unwrap(), made);
}

async fn a_retried_key_hides_its_secret(tenancy: &Tenancy) {
    let account = tenancy.account("Retry").await;
    let (write, creator) = (grant::<WriteKeys>(account), owner(account));
    let request = once("keys.create", "k", 1);
    let create = || {
        let new = new_key(BTreeSet::from([Permission::ReadMessages]));
        tenancy.keys.create(&write, &creator, new, Some(&request))
    };
    let one = create().await.unwrap();
    assert!(one.secret.is_some());
    let two = create().await.unwrap();
    assert_eq!((two.key, two.secret.is_none()), (one.key, true));
}
