//! Groups, tags, audiences and filters.

use std::collections::BTreeSet;

use kabar_contacts::group::GroupRow;
use kabar_contacts::{Audience, ContactFilter};
use kabar_core::{ContactId, Cursor, GroupId, PageRequest, StoreError};

use super::Road;
use super::people::{meet, person};
use crate::accounts::provider;

pub(super) async fn contract(road: &Road) {
    names_are_unique_in_an_account(road).await;
    members_come_and_go(road).await;
    tags_are_counted(road).await;
    an_audience_holds_each_contact_once(road).await;
    filters_narrow(road).await;
}

fn row(road: &Road, name: &str) -> GroupRow {
    GroupRow {
        id: road.id(),
        name: name.to_owned(),
        name_key: name.to_lowercase(),
        description: None,
        at: road.now(),
    }
}

async fn group(road: &Road, name: &str) -> GroupId {
    let row = row(road, name);
    let work = road.begin().await;
    work.groups(road.scope()).insert(&row).await.unwrap();
    work.commit().await.unwrap();
    row.id
}

async fn contacts(road: &Road, numbers: std::ops::Range<u32>) -> Vec<ContactId> {
    let people: Vec<_> = numbers.map(|n| person(Some(&format!("+62855{n:07}")), None)).collect();
    meet(road, &people).await.into_iter().map(|met| met.contact).collect()
}

async fn names_are_unique_in_an_account(road: &Road) {
    let first = group(road, "Customers").await;
    let work = road.begin().await;
    let again = work.groups(road.scope()).insert(&row(road, "CUSTOMERS")).await;
    assert!(matches!(again, Err(StoreError::Conflict { .. })), "{again:?}");
    drop(work);
    let work = road.begin().await;
    let other = provider().within(road.other);
    work.groups(other).insert(&row(road, "Customers")).await.unwrap();
    assert!(work.groups(other).by_ids(&[first]).await.unwrap().is_empty());
    assert!(!work.groups(other).remove(first).await.unwrap());
    let foreign = GroupRow { id: first, ..row(road, "Taken over") };
    assert!(!work.groups(other).update(&foreign).await.unwrap());
    work.commit().await.unwrap();
    let second = group(road, "Second").await;
    let work = road.begin().await;
    let renamed = GroupRow { id: second, ..row(road, "Suppliers") };
    assert!(work.groups(road.scope()).update(&renamed).await.unwrap());
    let keys = ["suppliers".to_owned(), "second".to_owned()];
    let found = work.groups(road.scope()).by_name_keys(&keys).await.unwrap();
    assert_eq!(found, [("suppliers".to_owned(), second)]);
    work.commit().await.unwrap();
}

async fn members_come_and_go(road: &Road) {
    let id = group(road, "Members").await;
    let members = contacts(road, 0..5).await;
    let work = road.begin().await;
    let mut groups = work.groups(road.scope());
    assert_eq!(groups.add(id, &members, road.now()).await.unwrap(), 5);
    assert_eq!(groups.add(id, &members[..2], road.now()).await.unwrap(), 0);
    assert_eq!(groups.take(id, &members[..1]).await.unwrap(), 1);
    assert_eq!(groups.by_ids(&[id]).await.unwrap()[0].members, 4);
    let of = groups.of_contacts(&members).await.unwrap();
    assert_eq!(of.len(), 4);
    assert!(of.iter().all(|(_, group, name)| *group == id && name == "Members"));
    drop(groups);
    work.contacts(road.scope()).remove(members[1], road.now()).await.unwrap();
    assert_eq!(work.groups(road.scope()).by_ids(&[id]).await.unwrap()[0].members, 3);
    let filter = ContactFilter { group: Some(id), ..ContactFilter::default() };
    let page = PageRequest::new(Some(2), None);
    let first = work.contacts(road.scope()).list(&filter, page).await.unwrap();
    let newest: Vec<ContactId> = first.items.iter().map(|contact| contact.id).collect();
    assert_eq!(newest, [members[4], members[3]]);
    let rest = PageRequest::new(Some(2), first.next);
    let rest = work.contacts(road.scope()).list(&filter, rest).await.unwrap();
    assert_eq!((rest.items[0].id, rest.next), (members[2], None));
    work.commit().await.unwrap();
}

async fn tags_are_counted(road: &Road) {
    let tagged = contacts(road, 10..14).await;
    let work = road.begin().await;
    let mut tags = work.tags(road.scope());
    let (vip, new) = ("vip".to_owned(), "new".to_owned());
    assert_eq!(tags.add(&[vip.clone(), new.clone()], &tagged, road.now()).await.unwrap(), 8);
    let pairs = [(tagged[0], vip.clone()), (tagged[1], "solo".to_owned())];
    assert_eq!(tags.add_pairs(&pairs, road.now()).await.unwrap(), 1);
    assert_eq!(tags.take(std::slice::from_ref(&new), &tagged[..3]).await.unwrap(), 3);
    let counted: Vec<(String, u64)> =
        tags.list(None, 10).await.unwrap().into_iter().map(|t| (t.tag, t.contacts)).collect();
    assert_eq!(counted, [(new, 1), ("solo".to_owned(), 1), (vip, 4)]);
    let rest = tags.list(Some("new"), 1).await.unwrap();
    assert_eq!(rest[0].tag, "solo");
    drop(tags);
    let other = work.tags(provider().within(road.other)).list(None, 10).await.unwrap();
    assert!(other.is_empty());
    work.commit().await.unwrap();
}

async fn an_audience_holds_each_contact_once(road: &Road) {
    let (a, b) = (group(road, "A").await, group(road, "B").await);
    let people = contacts(road, 20..40).await;
    let work = road.begin().await;
    work.groups(road.scope()).add(a, &people[..10], road.now()).await.unwrap();
    work.groups(road.scope()).add(b, &people[5..15], road.now()).await.unwrap();
    let tag = ["audience".to_owned()];
    work.tags(road.scope()).add(&tag, &people[12..18], road.now()).await.unwrap();
    work.contacts(road.scope()).remove(people[3], road.now()).await.unwrap();
    work.commit().await.unwrap();
    let stranger: ContactId = road.id();
    let audience = Audience {
        everyone: false,
        groups: vec![a, b],
        tags: tag.to_vec(),
        contacts: BTreeSet::from([people[17], people[19], stranger]),
    };
    for limit in [1, 3, 7, 100] {
        let walked = walk(road, &audience, limit).await;
        let mut wanted: Vec<ContactId> = people[..18].to_vec();
        wanted.push(people[19]);
        wanted.retain(|contact| *contact != people[3]);
        wanted.sort_unstable();
        assert_eq!(walked, wanted, "{limit}");
    }
    let everyone = Audience { everyone: true, ..Audience::default() };
    let all = walk(road, &everyone, 7).await;
    assert!(all.is_sorted() && people.iter().filter(|p| all.contains(p)).count() == 19);
    let work = road.begin().await;
    let other = provider().within(road.other);
    let page = work.audiences(other).page(&audience, None, 100).await.unwrap();
    assert!(page.contacts.is_empty());
}

async fn walk(road: &Road, audience: &Audience, limit: u16) -> Vec<ContactId> {
    let work = road.begin().await;
    let mut walked = Vec::new();
    let mut after = None;
    loop {
        let page = work.audiences(road.scope()).page(audience, after, limit).await.unwrap();
        assert!(page.contacts.len() <= usize::from(limit));
        walked.extend(page.contacts);
        let Some(next) = page.next else { return walked };
        after = Some(next);
    }
}

async fn filters_narrow(road: &Road) {
    let people = contacts(road, 50..53).await;
    let work = road.begin().await;
    let mut repo = work.contacts(road.scope());
    for (contact, name) in
        repo.by_ids(&people).await.unwrap().into_iter().zip(["Ayu", "AYUNDA", "Budi_%"])
    {
        let named = kabar_contacts::Contact { name: Some(name.to_owned()), ..contact };
        assert!(repo.update(&named).await.unwrap());
    }
    drop(repo);
    let stop = kabar_contacts::opt_out::Stop {
        scope: kabar_contacts::StopScope::Marketing,
        source: kabar_contacts::PreferenceSource::Hand,
        at: road.now(),
    };
    let stopped = work.preferences(road.scope()).stop(&people, stop).await.unwrap();
    let rest: Vec<ContactId> =
        work.preferences(road.scope()).resume(&people[..2], road.now()).await.unwrap();
    assert_eq!((stopped.len(), rest.len()), (3, 2));
    let mut repo = work.contacts(road.scope());
    let mut count = async |filter: ContactFilter| {
        let page = PageRequest::default();
        let listed = repo.list(&filter, page).await.unwrap().items.len();
        assert_eq!(repo.select(&filter, None, 100).await.unwrap().len(), listed);
        listed
    };
    let name = |name: &str| ContactFilter { name: Some(name.to_owned()), ..Default::default() };
    assert_eq!(count(name("ayu")).await, 2);
    assert_eq!(count(name("Budi_%")).await, 1);
    assert_eq!(count(name("B_di")).await, 0);
    let number = |n: &str| ContactFilter { number: Some(n.to_owned()), ..Default::default() };
    assert_eq!(count(number("+62855000005")).await, 3);
    assert_eq!(count(number("+628550000051")).await, 1);
    let stopped = ContactFilter { opted_out: Some(true), ..name("b") };
    assert_eq!(count(stopped).await, 1);
    let heard = ContactFilter { opted_out: Some(false), ..name("b") };
    assert_eq!(count(heard).await, 0);
    let after = PageRequest::new(Some(1), Some(Cursor::after(people[2].uuid())));
    let before = repo.list(&number("+62855000005"), after).await.unwrap();
    assert_eq!(before.items[0].id, people[1]);
    drop(repo);
    work.commit().await.unwrap();
}
