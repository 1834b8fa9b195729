//! What every store of accounts, users, keys and the audit log must do.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a contract suite fails by panicking"
)]

mod keys;
mod logins;
mod users;

use std::collections::BTreeSet;
use std::sync::Arc;

use chrono::TimeDelta;
use chrono_tz::Tz;
use kabar_accounts::{
    AccountError, AccountPatch, Accounts, AccountsWork, KeyAuthenticator, Keys, NewAccount,
    NewOwner, RecentKeys, Users,
};
use kabar_core::permission::{Permit, ReadSettings, WriteSettings};
use kabar_core::work::OnceError;
use kabar_core::{
    AccountId, Grant, InstallationScope, Once, PageRequest, Permission, Principal, Role, Scope,
    Store, UserId,
};
use kabar_events::Position;
use uuid::Uuid;

use crate::{SeqIds, TestClock};

/// A store of accounts with the services over it.
#[derive(Clone)]
pub struct Tenancy {
    /// The store.
    pub store: Arc<dyn Store<dyn AccountsWork>>,
    /// The clock of all services.
    pub clock: Arc<TestClock>,
    /// The ids of all services.
    pub ids: Arc<SeqIds>,
    /// Accounts.
    pub accounts: Accounts,
    /// Users.
    pub users: Users,
    /// API keys.
    pub keys: Keys,
    /// Authentication by API key.
    pub authenticator: KeyAuthenticator,
}

impl std::fmt::Debug for Tenancy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tenancy").finish_non_exhaustive()
    }
}

impl Tenancy {
    /// The services over a store.
    pub fn new(store: Arc<dyn Store<dyn AccountsWork>>) -> Self {
        let clock = Arc::new(TestClock::default());
        let ids = Arc::new(SeqIds::default());
        let recent = RecentKeys::default();
        Self {
            accounts: Accounts::new(Arc::clone(&store), clock.clone(), ids.clone())
                .with_recent(recent.clone()),
            users: Users::new(Arc::clone(&store), clock.clone(), ids.clone()),
            keys: Keys::new(Arc::clone(&store), clock.clone(), ids.clone(), recent.clone()),
            authenticator: KeyAuthenticator::new(Arc::clone(&store), clock.clone(), recent),
            store,
            clock,
            ids,
        }
    }

    /// A new account.
    ///
    /// # Panics
    /// When the store refuses it.
    pub async fn account(&self, name: &str) -> AccountId {
        let made = self.accounts.create(provider(), new_account(name), None);
        made.await.expect("an account is made").account.id
    }
}

/// The installation's scope, as a provider has it.
pub fn provider() -> InstallationScope {
    InstallationScope::system("contract")
}

/// The owner of an account.
pub fn owner(account: AccountId) -> Principal {
    let id = UserId::from(Uuid::from_u128(account.uuid().as_u128() ^ 1));
    Principal::user(id, Role::Customer, Some(account), [])
}

/// A permission of an account's owner.
///
/// # Panics
/// When an owner does not have it.
pub fn grant<P: Permit>(account: AccountId) -> Grant<P> {
    owner(account).grant(None).expect("an owner may")
}

/// A once-only request.
pub fn once(operation: &'static str, key: &str, body: u8) -> Once {
    Once { principal: "contract".to_owned(), operation, key: key.to_owned(), body_hash: [body; 32] }
}

/// An account to create.
pub fn new_account(name: &str) -> NewAccount {
    NewAccount {
        name: name.to_owned(),
        time_zone: Some("Asia/Jakarta".to_owned()),
        country: Some("id".to_owned()),
        owner: None,
    }
}

/// Runs the suite on an empty store.
///
/// # Panics
/// Where the store breaks its word.
pub async fn accounts_contract(store: Arc<dyn Store<dyn AccountsWork>>) {
    let tenancy = Tenancy::new(store);
    first_start_happens_once(&tenancy).await;
    accounts_are_made_and_changed(&tenancy).await;
    an_account_comes_with_its_owner_or_not_at_all(&tenancy).await;
    a_retried_account_is_the_same(&tenancy).await;
    accounts_are_paged(&tenancy).await;
    users::contract(&tenancy).await;
    keys::contract(&tenancy).await;
    logins::contract(&tenancy).await;
    changes_are_written_down(&tenancy).await;
}

async fn first_start_happens_once(tenancy: &Tenancy) {
    let accounts = &tenancy.accounts;
    let (one, two) = tokio::join!(
        accounts.ensure_provider("admin@example.com"),
        accounts.ensure_provider("other@example.com"),
    );
    let made: Vec<_> = [one, two].into_iter().filter_map(Result::unwrap).collect();
    let [access] = made.as_slice() else {
        panic!("{} providers were made", made.len());
    };
    assert_eq!(access.user.role, Role::ProviderAdmin);
    assert_eq!(access.user.account, None);
    let text = kabar_core::ExposeSecret::expose_secret(&access.secret);
    let principal = tenancy.authenticator.authenticate(text).await.unwrap();
    assert_eq!(principal.permissions().count(), Permission::ALL.len());
    // The provider's row decides after the once-only guard has forgotten.
    let work = tenancy.store.begin().await.unwrap();
    let end = tenancy.clock.advance(TimeDelta::days(30));
    work.once().forget(end).await.unwrap();
    work.commit().await.unwrap();
    assert!(accounts.ensure_provider("admin@example.com").await.unwrap().is_none());
    let further = accounts.create_provider_admin("further@example.com").await;
    assert_eq!(further.unwrap().user.role, Role::ProviderAdmin);
    assert!(matches!(
        accounts.create_provider_admin("Further@example.com").await,
        Err(AccountError::EmailTaken)
    ));
}

async fn accounts_are_made_and_changed(tenancy: &Tenancy) {
    let accounts = &tenancy.accounts;
    let made = accounts.create(provider(), new_account(" Toko Ayu "), None).await;
    let made = made.unwrap().account;
    assert_eq!(made.name, "Toko Ayu");
    assert_eq!(made.time_zone, Tz::Asia__Jakarta);
    assert_eq!(made.country.as_deref(), Some("ID"));
    assert!(made.active);
    let read = grant::<ReadSettings>(made.id);
    assert_eq!(accounts.get_own(&read).await.unwrap(), made);

    let now = tenancy.clock.advance(TimeDelta::hours(1));
    let patch = AccountPatch {
        name: Some("Toko Budi".to_owned()),
        time_zone: Some("Asia/Makassar".to_owned()),
        country: Some(None),
        fallback_number: Some(Some("+62 812-3456-789".to_owned())),
    };
    let write = grant::<WriteSettings>(made.id);
    let changed = accounts.update_own(&write, patch.clone()).await.unwrap();
    assert_eq!((changed.name.as_str(), changed.country.as_deref()), ("Toko Budi", None));
    let fallback = changed.fallback_number.as_ref().map(|number| number.as_str().to_owned());
    assert_eq!(fallback.as_deref(), Some("+628123456789"));
    assert_eq!((changed.created_at, changed.updated_at), (made.created_at, now));
    assert_eq!(accounts.get(provider(), made.id).await.unwrap(), changed);

    let off = accounts.set_active(provider(), made.id, false).await.unwrap();
    assert!(!off.active);
    for (field, patch) in [
        ("name", AccountPatch { name: Some("\0".to_owned()), ..AccountPatch::default() }),
        ("time_zone", AccountPatch { time_zone: Some("x".to_owned()), ..AccountPatch::default() }),
        (
            "country",
            AccountPatch { country: Some(Some("x".to_owned())), ..AccountPatch::default() },
        ),
    ] {
        match accounts.update(provider(), made.id, patch).await {
            Err(AccountError::Invalid(invalid)) => assert_eq!(invalid.field, field),
            other => panic!("{field}: {other:?}"),
        }
    }
    let nobody = AccountId::from(Uuid::nil());
    assert!(matches!(
        accounts.update(provider(), nobody, patch).await,
        Err(AccountError::NotFound)
    ));
}

async fn an_account_comes_with_its_owner_or_not_at_all(tenancy: &Tenancy) {
    let with_owner = |email: &str| NewAccount {
        owner: Some(NewOwner { email: email.to_owned(), name: "Ayu".to_owned() }),
        ..new_account("Owned")
    };
    let create = |email: &str| tenancy.accounts.create(provider(), with_owner(email), None);
    let made = create("Ayu@example.com").await.unwrap();
    let user = made.owner.expect("the owner is made");
    assert_eq!(user.account, Some(made.account.id));
    assert_eq!((user.role, user.email.as_str()), (Role::Customer, "ayu@example.com"));

    let before = tenancy.accounts.list(provider(), PageRequest::default()).await.unwrap();
    assert!(matches!(create("AYU@example.com").await, Err(AccountError::EmailTaken)));
    assert!(matches!(create("ayu").await, Err(AccountError::Invalid(_))));
    let after = tenancy.accounts.list(provider(), PageRequest::default()).await.unwrap();
    assert_eq!(before, after);
}

async fn a_retried_account_is_the_same(tenancy: &Tenancy) {
    let request = once("accounts.create", "a", 1);
    let create = |once: Once| async move {
        let new = new_account("Once");
        tenancy.accounts.create(provider(), new, Some(&once)).await
    };
    let (one, two) = tokio::join!(create(request.clone()), create(request.clone()));
    let (one, two) = (one.unwrap(), two.unwrap());
    assert_eq!(one, two);
    assert_eq!(create(request.clone()).await.unwrap(), one);
    let other = Once { body_hash: [2; 32], ..request };
    assert!(matches!(create(other).await, Err(AccountError::Once(OnceError::OtherBody))));
}

async fn accounts_are_paged(tenancy: &Tenancy) {
    for number in 0..3 {
        tenancy.account(&format!("Page {number}")).await;
    }
    let all = tenancy.accounts.list(provider(), PageRequest::default()).await.unwrap();
    assert!(all.items.is_sorted_by(|a, b| a.id > b.id), "newest first");
    assert_eq!(all.next, None);
    let mut paged = Vec::new();
    let mut request = PageRequest::new(Some(2), None);
    loop {
        let page = tenancy.accounts.list(provider(), request).await.unwrap();
        paged.extend(page.items);
        match page.next {
            Some(next) => request.after = Some(next),
            None => break,
        }
    }
    assert_eq!(paged, all.items);
}

async fn changes_are_written_down(tenancy: &Tenancy) {
    let (mine, other) = (tenancy.account("Mine").await, tenancy.account("Other").await);
    let write = grant::<WriteSettings>(mine);
    let rename =
        |name: &str| AccountPatch { name: Some(name.to_owned()), ..AccountPatch::default() };
    tenancy.accounts.update_own(&write, rename("New")).await.unwrap();
    // What changes nothing is not written down, nor what is refused.
    tenancy.accounts.update_own(&write, rename("New")).await.unwrap();
    tenancy.accounts.update_own(&write, rename("")).await.unwrap_err();
    assert_eq!(audited(tenancy, write.scope()).await, ["account.update", "account.create"]);
    assert_eq!(audited(tenancy, provider().within(other)).await, ["account.create"]);
    assert_eq!(logged(tenancy, write.scope(), 2).await, ["account.changed", "account.changed"]);

    let work = tenancy.store.read().await.unwrap();
    let page = work.audit().list(write.scope(), PageRequest::default()).await.unwrap();
    let subjects: BTreeSet<_> = page.items.iter().filter_map(|e| e.subject.clone()).collect();
    assert_eq!(subjects, BTreeSet::from([mine.to_string()]));
    assert_eq!(page.items.first().unwrap().actor, write.actor().to_string());
    let page = work.audit().list_installation(provider(), PageRequest::default()).await.unwrap();
    assert!(page.items.iter().any(|entry| entry.action == "user.create"));
}

/// The actions in a tenant's audit log, newest first.
async fn audited(tenancy: &Tenancy, scope: Scope) -> Vec<String> {
    let work = tenancy.store.read().await.unwrap();
    let page = work.audit().list(scope, PageRequest::default()).await.unwrap();
    page.items.into_iter().map(|entry| entry.action).collect()
}

/// The kinds in a tenant's event log, once it has `count` events: a transaction that runs elsewhere
/// on the same server may hold the log back for a moment.
async fn logged(tenancy: &Tenancy, scope: Scope, count: usize) -> Vec<String> {
    let shown = async {
        loop {
            let work = tenancy.store.read().await.unwrap();
            let events = work.events().read(scope, Position::default(), 100).await.unwrap();
            if events.len() >= count {
                return events.into_iter().map(|event| event.kind).collect();
            }
            drop(work);
            tokio::task::yield_now().await;
        }
    };
    let most = std::time::Duration::from_mins(1);
    tokio::time::timeout(most, shown).await.expect("the events")
}
