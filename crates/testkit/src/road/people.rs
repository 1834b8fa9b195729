//! From what a network knows of people to contacts.

use chrono::TimeDelta;
use kabar_channel::PersonIds;
use kabar_contacts::contact::{IdentityKey, IdentityKind};
use kabar_contacts::people::{Person, Resolved, resolve};
use kabar_contacts::{Contact, ContactFilter};
use kabar_core::{AccountId, ContactId, PageRequest, StoreError};

use super::Road;
use crate::accounts::provider;

const NAMESPACE: &str = "cloud_api:portfolio";

pub(super) async fn contract(road: &Road) {
    the_same_person_is_the_same_contact(road).await;
    a_recycled_number_goes_to_its_new_owner(road).await;
    two_contacts_stay_two(road).await;
    tenants_know_people_apart(road).await;
    names_change(road).await;
    people_who_are_met_at_the_same_time_are_one(road).await;
}

pub(super) fn person(phone: Option<&str>, bsuid: Option<&str>) -> Person {
    let ids = PersonIds {
        phone: phone.map(|phone| phone.parse().expect("a number")),
        wa_id: phone.map(|phone| phone.trim_start_matches('+').to_owned()),
        bsuid: bsuid.map(str::to_owned),
        ..PersonIds::default()
    };
    Person::from_ids(&ids, NAMESPACE, None)
}

async fn try_meet(
    road: &Road,
    account: AccountId,
    people: &[Person],
) -> Result<Vec<Resolved>, StoreError> {
    let work = road.begin().await;
    let mut repo = work.people(provider().within(account));
    let ids = &*road.fleet.tenancy.ids;
    let resolved = resolve(&mut *repo, account, people, ids, road.now()).await?;
    drop(repo);
    work.commit().await?;
    Ok(resolved)
}

pub(super) async fn meet(road: &Road, people: &[Person]) -> Vec<Resolved> {
    try_meet(road, road.account, people).await.unwrap()
}

async fn contact(road: &Road, id: ContactId) -> Contact {
    let work = road.begin().await;
    let found = work.contacts(road.scope()).by_ids(&[id]).await.unwrap();
    found.into_iter().next().expect("the contact is there")
}

async fn the_same_person_is_the_same_contact(road: &Road) {
    let number = "+6281100000001";
    let batch =
        [person(Some(number), None), person(Some(number), Some("b.1")), person(None, Some("b.1"))];
    let met = meet(road, &batch).await;
    assert!(met.iter().all(|one| *one == met[0]) && met[0].created);
    let again = meet(road, &batch).await;
    assert!(again.iter().all(|one| one.contact == met[0].contact && !one.created));
    let contact = contact(road, met[0].contact).await;
    assert_eq!(contact.identity(IdentityKind::Phone), Some(number));
    assert_eq!(contact.identity(IdentityKind::Bsuid), Some("b.1"));
    let work = road.begin().await;
    let identity = Some(IdentityKey::phone(&number.parse().expect("a number")));
    let filter = ContactFilter { identity, ..ContactFilter::default() };
    let page = PageRequest::default();
    let found = work.contacts(road.scope()).list(&filter, page).await.unwrap();
    assert_eq!(found.items, [contact]);
    drop(work);
    // Somebody without any identity is somebody each time.
    let nobody = meet(road, &[person(None, None), person(None, None)]).await;
    assert_ne!(nobody[0].contact, nobody[1].contact);
    assert!(meet(road, &[]).await.is_empty());
    // A removed contact's number makes a new one.
    let work = road.begin().await;
    let removed = work.contacts(road.scope()).remove(met[0].contact, road.now()).await;
    assert!(removed.unwrap());
    work.commit().await.unwrap();
    let new = meet(road, &batch[..1]).await;
    assert!(new[0].created && new[0].contact != met[0].contact);
}

async fn a_recycled_number_goes_to_its_new_owner(road: &Road) {
    let number = "+6281100000002";
    let first = meet(road, &[person(Some(number), Some("b.2"))]).await[0];
    road.fleet.tenancy.clock.advance(TimeDelta::minutes(1));
    let second = meet(road, &[person(Some(number), Some("b.3"))]).await[0];
    assert!(second.created && second.contact != first.contact);
    assert_eq!(contact(road, first.contact).await.identity(IdentityKind::Phone), None);
    let owner = contact(road, second.contact).await;
    assert_eq!(owner.identity(IdentityKind::Phone), Some(number));
    assert_eq!(meet(road, &[person(Some(number), None)]).await[0].contact, second.contact);
    assert_eq!(meet(road, &[person(None, Some("b.2"))]).await[0].contact, first.contact);
    // Twice in one batch, and back.
    let batch = [
        person(Some(number), Some("b.4")),
        person(Some(number), Some("b.5")),
        person(Some(number), Some("b.2")),
    ];
    let met = meet(road, &batch).await;
    assert_eq!(met[2].contact, first.contact);
    assert_eq!(contact(road, first.contact).await.identity(IdentityKind::Phone), Some(number));
}

async fn two_contacts_stay_two(road: &Road) {
    let number = "+6281100000006";
    let by_number = meet(road, &[person(Some(number), None)]).await[0].contact;
    let by_id = meet(road, &[person(None, Some("b.6"))]).await[0].contact;
    assert_ne!(by_number, by_id);
    // Now it turns out that they are the same: merging is the tenant's decision.
    let met = meet(road, &[person(Some(number), Some("b.6"))]).await[0];
    assert_eq!((met.contact, met.created), (by_id, false));
    assert_eq!(meet(road, &[person(Some(number), None)]).await[0].contact, by_number);
}

async fn tenants_know_people_apart(road: &Road) {
    let one = person(Some("+6281100000007"), Some("b.7"));
    let ours = meet(road, std::slice::from_ref(&one)).await[0];
    let theirs = try_meet(road, road.other, &[one]).await.unwrap()[0];
    assert!(theirs.created && ours.contact != theirs.contact);
    let work = road.begin().await;
    let seen = work.contacts(road.scope()).by_ids(&[theirs.contact]).await;
    assert!(seen.unwrap().is_empty());
    let removed = work.contacts(road.scope()).remove(theirs.contact, road.now()).await;
    assert!(!removed.unwrap());
}

async fn names_change(road: &Road) {
    let id = meet(road, &[person(Some("+6281100000008"), None)]).await[0].contact;
    let before = contact(road, id).await;
    let mut at = before.updated_at;
    for name in ["Siti", "Siti", "Aminah"] {
        let now = road.fleet.tenancy.clock.advance(TimeDelta::minutes(1));
        let work = road.begin().await;
        let mut repo = work.conversations(road.scope());
        let names = [(id, name.to_owned())];
        repo.hear(&[], &names, &[], now).await.unwrap();
        repo.hear(&[], &[], &[], now).await.unwrap();
        drop(repo);
        work.commit().await.unwrap();
        let after = contact(road, id).await;
        assert_eq!(after.profile_name.as_deref(), Some(name));
        assert_ne!(after.updated_at, before.updated_at);
        at = at.max(after.updated_at);
    }
    assert_eq!(at, road.now());
}

async fn people_who_are_met_at_the_same_time_are_one(road: &Road) {
    for round in 0..6 {
        let number = format!("+62812000000{round:02}");
        let bsuid = format!("b.same.{round}");
        let mut tasks = tokio::task::JoinSet::new();
        for task in 0..6 {
            let road = road.clone();
            let one = match task % 3 {
                0 => person(Some(&number), None),
                1 => person(Some(&number), Some(&bsuid)),
                _ => person(None, Some(&bsuid)),
            };
            tasks.spawn(async move {
                loop {
                    match try_meet(&road, road.account, std::slice::from_ref(&one)).await {
                        Err(StoreError::Contended(_)) => {}
                        met => break met.expect("they are met")[0].contact,
                    }
                }
            });
        }
        let contacts = tasks.join_all().await;
        for id in &contacts {
            // Whoever was met exists.
            contact(road, *id).await;
        }
        let both = meet(road, &[person(Some(&number), Some(&bsuid))]).await[0];
        assert!(!both.created && contacts.contains(&both.contact));
    }
}
