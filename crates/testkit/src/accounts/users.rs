//! Users.

use std::collections::BTreeSet;

use kabar_accounts::{NewUser, UserError, UserPatch};
use kabar_core::permission::{ReadUsers, WriteUsers};
use kabar_core::{AccountId, Denied, PageRequest, Permission, Principal, Role, UserId};
use uuid::Uuid;

use super::{Tenancy, grant, once, provider};

pub(super) async fn contract(tenancy: &Tenancy) {
    users_are_made_and_changed(tenancy).await;
    addresses_are_unique_in_the_installation(tenancy).await;
    roles_stay_in_their_realm(tenancy).await;
    tenants_see_their_own(tenancy).await;
    a_retried_user_is_the_same(tenancy).await;
    an_account_must_exist(tenancy).await;
}

fn new_user(email: &str, role: Role) -> NewUser {
    NewUser { email: email.to_owned(), name: "Budi".to_owned(), role, permissions: BTreeSet::new() }
}

async fn users_are_made_and_changed(tenancy: &Tenancy) {
    let users = &tenancy.users;
    let account = tenancy.account("Users").await;
    let write = grant::<WriteUsers>(account);
    let new = NewUser {
        permissions: BTreeSet::from([Permission::ReadRules]),
        ..new_user("Budi@Users.example", Role::Agent)
    };
    let made = users.create(&write, new, None).await.unwrap();
    assert_eq!((made.email.as_str(), made.active), ("budi@users.example", true));
    let read = grant::<ReadUsers>(account);
    assert_eq!(users.get(&read, made.id).await.unwrap(), made);

    let patch = UserPatch {
        email: Some("budi2@users.example".to_owned()),
        role: Some(Role::Customer),
        permissions: Some(BTreeSet::new()),
        active: Some(false),
        ..UserPatch::default()
    };
    let changed = users.update(&write, made.id, patch).await.unwrap();
    assert_eq!((changed.role, changed.active), (Role::Customer, false));
    assert_eq!(changed.name, made.name);
    assert_eq!(users.get(&read, made.id).await.unwrap(), changed);
}

async fn addresses_are_unique_in_the_installation(tenancy: &Tenancy) {
    let users = &tenancy.users;
    let (one, two) = (tenancy.account("E-mail 1").await, tenancy.account("E-mail 2").await);
    let (one, two) = (grant::<WriteUsers>(one), grant::<WriteUsers>(two));
    let new = || new_user("taken@example.com", Role::Agent);
    users.create(&one, new(), None).await.unwrap();
    for taken in [
        users.create(&two, new(), None).await,
        users
            .create_provider(provider(), new_user("TAKEN@example.com", Role::ProviderStaff), None)
            .await,
    ] {
        assert!(matches!(taken, Err(UserError::EmailTaken)), "{taken:?}");
    }
    let other = users.create(&two, new_user("free@example.com", Role::Agent), None).await.unwrap();
    let patch = UserPatch { email: Some("taken@example.com".to_owned()), ..UserPatch::default() };
    let taken = users.update(&two, other.id, patch).await;
    assert!(matches!(taken, Err(UserError::EmailTaken)), "{taken:?}");
}

async fn roles_stay_in_their_realm(tenancy: &Tenancy) {
    let users = &tenancy.users;
    let write = grant::<WriteUsers>(tenancy.account("Roles").await);
    for role in [Role::ProviderAdmin, Role::ProviderStaff] {
        let refused = users.create(&write, new_user("r@example.com", role), None).await;
        assert!(matches!(refused, Err(UserError::Invalid(e)) if e.field == "role"));
    }
    for role in [Role::Customer, Role::Agent] {
        let refused =
            users.create_provider(provider(), new_user("r@example.com", role), None).await;
        assert!(matches!(refused, Err(UserError::Invalid(e)) if e.field == "role"));
    }
    let grabbing = NewUser {
        permissions: BTreeSet::from([Permission::WriteAccounts]),
        ..new_user("r@example.com", Role::Agent)
    };
    let refused = users.create(&write, grabbing, None).await;
    assert!(matches!(refused, Err(UserError::Invalid(e)) if e.field == "permissions"));
}

async fn tenants_see_their_own(tenancy: &Tenancy) {
    let users = &tenancy.users;
    let (mine, other) = (tenancy.account("Mine").await, tenancy.account("Other").await);
    let new = new_user("mine@example.com", Role::Agent);
    let made = users.create(&grant(mine), new, None).await.unwrap();
    let staff = new_user("staff@example.com", Role::ProviderStaff);
    let staff = users.create_provider(provider(), staff, None).await.unwrap();

    let page = PageRequest::default();
    assert_eq!(users.list(&grant(mine), page).await.unwrap().items, std::slice::from_ref(&made));
    assert_eq!(users.list(&grant(other), page).await.unwrap().items, []);
    let people = users.list_provider(provider(), page).await.unwrap().items;
    assert!(people.contains(&staff) && people.iter().all(|user| user.account.is_none()));
    for foreign in [made.id, staff.id] {
        let read = users.get(&grant(other), foreign).await;
        assert!(matches!(read, Err(UserError::NotFound)), "{read:?}");
        let patch = UserPatch { active: Some(false), ..UserPatch::default() };
        let write = users.update(&grant(other), foreign, patch).await;
        assert!(matches!(write, Err(UserError::NotFound)), "{write:?}");
    }
    let read = users.get_provider(provider(), made.id).await;
    assert!(matches!(read, Err(UserError::NotFound)), "{read:?}");
    assert!(users.get(&grant(mine), made.id).await.unwrap().active);
}

async fn a_retried_user_is_the_same(tenancy: &Tenancy) {
    let write = grant::<WriteUsers>(tenancy.account("Retry").await);
    let request = once("users.create", "u", 1);
    let create = || {
        let new = new_user("retry@example.com", Role::Agent);
        tenancy.users.create(&write, new, Some(&request))
    };
    let one = create().await.unwrap();
    assert_eq!(create().await.unwrap(), one);
}

async fn an_account_must_exist(tenancy: &Tenancy) {
    let admin = Principal::user(UserId::from(Uuid::nil()), Role::ProviderAdmin, None, []);
    let nowhere = AccountId::from(Uuid::from_u128(99));
    let write = admin.grant::<WriteUsers>(Some(nowhere)).unwrap();
    let new = new_user("nowhere@example.com", Role::Agent);
    let refused = tenancy.users.create(&write, new, None).await;
    assert!(matches!(refused, Err(UserError::Denied(Denied::NoSuchAccount))), "{refused:?}");
}
