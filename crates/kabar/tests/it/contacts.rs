//! Importing, exporting, opting out, merging and erasing, end to end.

use bytes::Bytes;
use kabar::channel::Content;
use kabar::contacts::import::{Import, ImportOptions, ImportState, NewImport, RowState};
use kabar::contacts::{
    Contact, ContactError, ContactFilter, ContactsExport, ContactsExportFilter, IdentityKind,
    ImportError, PreferenceChange, StopScope,
};
use kabar::core::permission::{Permit, ReadContacts, ReadMessages};
use kabar::core::{ContactId, PageRequest};
use kabar::exports::{ExportState, Format, Kind, NewExport};
use kabar::messaging::{
    Direction, MessageError, MessageFilter, NewMessage, PersonalData, Purpose, Status,
};
use kabar_sandbox::Inbound;
use kabar_testkit::accounts::grant;

use crate::town::{CUSTOMER, Town, each_town};

const FILE: &str = "\
Nomor WA;Nama;Tag;Grup;Kota\r\n\
0812-0000-001;Siti;VIP, baru;Pelanggan;Bandung\r\n\
+62 812 0000 002;\"Budi; \"\"B\"\"\";;;\r\n\
6.28123E+12;Rounded;;;\r\n\
08120000001;Again;;;\r\n\
hello;Nobody;;;\r\n\
";

fn new(bytes: impl Into<Bytes>) -> NewImport {
    NewImport {
        bytes: bytes.into(),
        filename: Some("contacts.csv".to_owned()),
        country: Some("ID".to_owned()),
        options: ImportOptions::default(),
    }
}

async fn upload(town: &Town, new: NewImport) -> Import {
    let import = town.platform.imports().start(&grant(town.account), new, None).await.unwrap();
    town.platform.drain().await.unwrap();
    import_of(town, &import).await
}

async fn import_of(town: &Town, import: &Import) -> Import {
    town.platform.imports().get(&grant(town.account), import.id).await.unwrap()
}

async fn confirm(town: &Town, import: &Import) -> Import {
    town.platform.imports().confirm(&grant(town.account), import.id).await.unwrap();
    town.platform.drain().await.unwrap();
    import_of(town, import).await
}

async fn contacts(town: &Town, filter: &ContactFilter) -> Vec<Contact> {
    let page = PageRequest::new(Some(PageRequest::MOST), None);
    let grant = grant::<ReadContacts>(town.account);
    town.platform.contacts().list(&grant, filter, page).await.unwrap().items
}

async fn by_number(town: &Town, number: &str) -> Contact {
    let filter = ContactFilter { number: Some(number.to_owned()), ..ContactFilter::default() };
    contacts(town, &filter).await.remove(0)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_import_is_looked_at_and_then_carried_out_once() {
    each_town(|town| async move {
        let import = upload(&town, new(FILE)).await;
        assert_eq!((import.state, &import.problem), (ImportState::Ready, &None));
        let counts = import.counts;
        assert_eq!((counts.rows, counts.new, counts.duplicate, counts.invalid), (5, 2, 1, 2));
        assert!(contacts(&town, &ContactFilter::default()).await.is_empty());
        let imports = town.platform.imports();
        let grants = grant(town.account);
        let rows = imports.rows(&grants, import.id, None, 0, 50).await.unwrap();
        let states: Vec<RowState> = rows.iter().map(|row| row.state).collect();
        let (fresh, invalid) = (RowState::New, RowState::Invalid);
        assert_eq!(states, [fresh, fresh, invalid, RowState::Duplicate, invalid]);
        assert_eq!((rows[0].number, rows[0].phone.as_deref()), (2, Some("+628120000001")));
        assert_eq!(rows[1].name.as_deref(), Some("Budi; \"B\""));
        assert_eq!(rows[2].column.as_deref(), Some("Nomor WA"));
        assert!(rows[2].problem.as_deref().unwrap().contains("by a spreadsheet"));
        assert!(rows[3].problem.as_deref().unwrap().contains("row 2 has the same number"));
        let bad = imports.rows(&grants, import.id, Some(invalid), 4, 50).await.unwrap();
        assert_eq!(bad.len(), 1);
        let failed = imports.failed_rows(&grant(town.account), import.id).await.unwrap();
        let failed = String::from_utf8(failed.to_vec()).unwrap();
        assert!(failed.contains("Nomor WA,Nama,Tag,Grup,Kota,kabar_problem"), "{failed}");
        assert_eq!(failed.lines().count(), 3);

        let done = confirm(&town, &import).await;
        assert_eq!(done.state, ImportState::Done);
        let results = done.results;
        assert_eq!((results.created, results.skipped, results.failed), (2, 1, 2));
        let siti = by_number(&town, "+628120000001").await;
        assert_eq!(siti.name.as_deref(), Some("Siti"));
        assert_eq!(siti.variables["Kota"], "Bandung");
        let (groups, tags) =
            town.platform.tags().memberships(&grant(town.account), siti.id).await.unwrap();
        assert_eq!(groups[0].1, "Pelanggan");
        assert_eq!(tags, ["baru", "vip"]);
        // Twice is once, and the same file changes nothing.
        assert_eq!(confirm(&town, &import).await, done);
        let again = upload(&town, new(FILE)).await;
        assert_eq!((again.counts.unchanged, again.counts.new, again.counts.update), (2, 0, 0));
        let again = confirm(&town, &again).await;
        assert_eq!((again.results.created, again.results.updated), (0, 0));
        assert_eq!(contacts(&town, &ContactFilter::default()).await.len(), 2);
        let late = imports.cancel(&grant(town.account), again.id).await;
        assert!(matches!(late, Err(ImportError::WrongState { .. })), "{late:?}");
    })
    .await;
}

fn many(rows: usize) -> String {
    let lines = (0..rows).map(|row| format!("+62813{row:07},Name {row},City {}", row % 10));
    let head = std::iter::once("phone,name,city".to_owned());
    head.chain(lines).collect::<Vec<_>>().join("\n")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_half_done_import_goes_on_where_it_was() {
    each_town(|town| async move {
        let import = upload(&town, new(many(4_500))).await;
        assert_eq!(import.counts.new, 4_500);
        town.platform.imports().confirm(&grant(town.account), import.id).await.unwrap();
        // The node goes away in the middle of it.
        let some = async {
            loop {
                let now = import_of(&town, &import).await;
                if now.applied > 0 {
                    return now;
                }
                tokio::task::yield_now().await;
            }
        };
        tokio::select! {
            _ = town.platform.drain() => {}
            _ = some => {}
        }
        town.wait(60);
        let node = town.second_node().await;
        node.drain().await.unwrap();
        let done = import_of(&town, &import).await;
        assert_eq!((done.state, done.results.created), (ImportState::Done, 4_500));
        let all = contacts(&town, &ContactFilter::default()).await;
        assert_eq!(all.len(), usize::from(PageRequest::MOST));
        let again = upload(&town, new(many(4_500))).await;
        assert_eq!((again.counts.unchanged, again.counts.new), (4_500, 0));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_import_is_cancelled_at_any_moment() {
    each_town(|town| async move {
        let imports = town.platform.imports();
        let grants = grant(town.account);
        let unread = imports.start(&grants, new(FILE), None).await.unwrap();
        imports.cancel(&grants, unread.id).await.unwrap();
        town.platform.drain().await.unwrap();
        assert_eq!(import_of(&town, &unread).await.state, ImportState::Cancelled);
        let ready = upload(&town, new(FILE)).await;
        assert_eq!(imports.cancel(&grants, ready.id).await.unwrap().state, ImportState::Cancelled);
        let confirmed = imports.confirm(&grants, ready.id).await;
        assert!(matches!(confirmed, Err(ImportError::WrongState { .. })), "{confirmed:?}");
        let going = upload(&town, new(FILE)).await;
        imports.confirm(&grants, going.id).await.unwrap();
        imports.cancel(&grants, going.id).await.unwrap();
        town.platform.drain().await.unwrap();
        assert_eq!(import_of(&town, &going).await.state, ImportState::Cancelled);
        assert!(contacts(&town, &ContactFilter::default()).await.is_empty());
        let empty = upload(&town, new("\n\n")).await;
        assert_eq!(empty.state, ImportState::Failed);
        let nothing = upload(&town, new("a,b\nc,d\n")).await;
        assert!(nothing.problem.unwrap().contains("no column holds the numbers"));
    })
    .await;
}

async fn exported<K: Kind>(town: &Town, params: serde_json::Value, format: Format) -> Bytes
where
    K::Needs: Permit,
{
    let exports = town.platform.exports();
    let new = NewExport { format, name: "contacts".to_owned(), params };
    let export = exports.start::<K>(&grant(town.account), new, None).await.unwrap();
    town.platform.drain().await.unwrap();
    let export = exports.get::<K>(&grant(town.account), export.id).await.unwrap();
    assert_eq!((export.state, &export.problem), (ExportState::Done, &None));
    let mut file = exports.open::<K>(&grant(town.account), export.id).await.unwrap();
    let mut bytes = Vec::new();
    while let Some(part) = file.next_part().await.unwrap() {
        bytes.extend_from_slice(&part);
    }
    Bytes::from(bytes)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_exported_comes_back_unchanged() {
    each_town(|town| async move {
        let file = "phone,name,tags,groups,note,variable:name\n\
            +628120000011,=1+1,\"a, b\",\"Old, New\",@home,alias\n\
            +628120000012,'Aisyah,,,\" two\nlines \",\n";
        let import = upload(&town, new(file)).await;
        confirm(&town, &import).await;
        let params = serde_json::to_value(ContactsExportFilter::default()).unwrap();
        for format in [Format::Csv, Format::Xlsx] {
            let bytes = exported::<ContactsExport>(&town, params.clone(), format).await;
            let again = upload(&town, new(bytes)).await;
            assert_eq!(again.problem, None);
            assert_eq!((again.counts.rows, again.counts.unchanged), (2, 2), "{format}: {again:?}");
        }
        let tag = ContactsExportFilter { tag: Some("b".to_owned()), ..Default::default() };
        let params = serde_json::to_value(tag).unwrap();
        let bytes = exported::<ContactsExport>(&town, params, Format::Csv).await;
        let text = String::from_utf8(bytes.to_vec()).unwrap();
        assert_eq!(text.lines().count(), 2, "{text}");
        assert!(text.contains(",'=1+1,") && text.contains("'@home"), "{text}");
    })
    .await;
}

fn marketing(town: &Town, body: &str) -> NewMessage {
    NewMessage { purpose: Purpose::Marketing, ..town.message(CUSTOMER, Content::text(body)) }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stop_word_holds_on_both_roads() {
    each_town(|town| async move {
        let opt_outs = town.platform.opt_outs();
        let grants = grant(town.account);
        let settings = opt_outs.change_settings(&grants, |settings| {
            settings.stop_reply = Some("You get no more offers.".to_owned());
        });
        settings.await.unwrap();
        let due = town.platform.clock().now() + std::time::Duration::from_mins(10);
        let waiting =
            town.queue_one(NewMessage { due_at: Some(due), ..marketing(&town, "offer") }).await;
        town.hears(Inbound::text(CUSTOMER, "please do not stop")).await;
        assert_eq!(by_number(&town, "+62812").await.stop(), None);
        town.hears(Inbound::text(CUSTOMER, " Berhenti! ")).await;
        let contact = by_number(&town, "+62812").await;
        assert_eq!(contact.stop(), Some(StopScope::Marketing));
        assert_eq!(town.texts(CUSTOMER), ["You get no more offers."]);
        // What waited is not sent, what is new is not taken; the rest is.
        town.wait(700);
        town.settle().await;
        let waited = town.get(waiting.id).await;
        assert_eq!(
            (waited.status, waited.reason.unwrap().code.as_str()),
            (Status::Cancelled, "opted_out")
        );
        let messages = town.platform.messages();
        let refused =
            messages.send_many(&grant(town.account), vec![marketing(&town, "offer")], None).await;
        match refused {
            Err(MessageError::Invalid(fields)) => assert_eq!(fields[0].fields[0].field, "to"),
            other => panic!("{other:?}"),
        }
        town.sent("your order").await;
        // Back again.
        town.hears(Inbound::text(CUSTOMER, "MULAI")).await;
        assert_eq!(by_number(&town, "+62812").await.stop(), None);
        town.queue_one(marketing(&town, "welcome back")).await;
        town.settle().await;
        assert_eq!(town.texts(CUSTOMER).last().unwrap(), "welcome back");
        let page = PageRequest::default();
        let history = opt_outs.history(&grant(town.account), Some(contact.id), page).await.unwrap();
        let changes: Vec<PreferenceChange> = history.items.iter().map(|one| one.change).collect();
        assert_eq!(changes, [PreferenceChange::Resumed, PreferenceChange::Stopped]);
        assert_eq!(history.items[1].detail.as_deref(), Some("Berhenti!"));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stop_outlives_its_contact() {
    each_town(|town| async move {
        town.hears(Inbound::text(CUSTOMER, "STOP")).await;
        let contact = by_number(&town, "+62812").await;
        town.platform.contacts().remove(&grant(town.account), contact.id).await.unwrap();
        town.hears(Inbound::text(CUSTOMER, "halo")).await;
        let new = by_number(&town, "+62812").await;
        assert_ne!(new.id, contact.id);
        assert_eq!(new.stop(), Some(StopScope::Marketing));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_contacts_become_one() {
    each_town(|town| async move {
        let other = "6281234567899";
        town.open_window(other);
        town.hears(Inbound::text(CUSTOMER, "one")).await;
        town.hears(Inbound::text(other, "two")).await;
        let kept = by_number(&town, &format!("+{CUSTOMER}")).await;
        let merged = by_number(&town, &format!("+{other}")).await;
        let due = town.platform.clock().now() + std::time::Duration::from_mins(1);
        let waiting = town.message(other, Content::text("later"));
        let waiting = town.queue_one(NewMessage { due_at: Some(due), ..waiting }).await;
        let grants = grant(town.account);
        let id = town.platform.groups().create(
            &grants,
            kabar::contacts::NewGroup { name: "G".to_owned(), description: None },
            None,
        );
        let group = id.await.unwrap().id;
        let whom = kabar::contacts::Selection::Ids(vec![merged.id]);
        town.platform.groups().add(&grants, group, &whom, None).await.unwrap();
        let merges = town.platform.merges();
        let one = merges.merge(&grant(town.account), kept.id, merged.id, None).await.unwrap();
        assert_eq!(one.identities.iter().filter(|i| i.key.kind == IdentityKind::Phone).count(), 2);
        // The other one answers as this one.
        let found = town.platform.contacts().get(&grant(town.account), merged.id).await.unwrap();
        assert_eq!(found.id, kept.id);
        let filter = MessageFilter { contact: Some(kept.id), ..MessageFilter::default() };
        let messages = town.all(filter).await;
        assert_eq!(messages.len(), 3);
        assert!(messages.iter().all(|m| m.conversation == messages[0].conversation));
        town.wait(61);
        town.settle().await;
        assert_eq!(town.get(waiting.id).await.status, Status::Read);
        assert_eq!(town.texts(other), ["later"]);
        assert_eq!(town.lanes().await, 0);
        let (groups, _) =
            town.platform.tags().memberships(&grant(town.account), kept.id).await.unwrap();
        assert_eq!(groups.len(), 1);
        let log = merges.list(&grant(town.account), PageRequest::default()).await.unwrap();
        assert_eq!((log.items[0].kept, log.items[0].merged), (kept.id, merged.id));
        // Whoever writes from the other number is the same contact.
        town.hears(Inbound::text(other, "three")).await;
        assert_eq!(town.received().await.last().unwrap().contact, kept.id);
        let again = merges.merge(&grant(town.account), kept.id, merged.id, None).await;
        assert!(matches!(again, Err(ContactError::Missing { .. })), "{again:?}");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_erased_contact_leaves_ids_and_counts() {
    each_town(|town| async move {
        town.hears(Inbound::text(CUSTOMER, "my secret")).await;
        town.sent("your secret").await;
        town.hears(Inbound::text(CUSTOMER, "stop")).await;
        let contact = by_number(&town, "+62812").await;
        let personal = exported_person(&town, contact.id).await;
        for known in ["my secret", "your secret", "+6281234567890", "\"stopped\""] {
            assert!(personal.contains(known), "{known}: {personal}");
        }
        let before = town.all(MessageFilter::default()).await;
        let erasures = town.platform.erasures();
        erasures.erase(&grant(town.account), contact.id).await.unwrap();
        town.platform.drain().await.unwrap();
        let erasure = erasures.get(&grant(town.account), contact.id).await.unwrap();
        assert!(erasure.done);
        assert_eq!(erasure.messages, before.len() as u64);
        let gone = town.platform.contacts().get(&grant(town.account), contact.id).await;
        assert!(matches!(gone, Err(ContactError::NotFound)));
        let after = town.all(MessageFilter::default()).await;
        assert_eq!(after.len(), before.len());
        for (old, new) in before.iter().zip(&after) {
            assert_eq!((old.id, old.status, old.sent_at), (new.id, new.status, new.sent_at));
            assert_eq!(new.body.words().unwrap_or_default(), "");
            assert_eq!((&new.recipient, &new.wire_id, &new.asked_for), (&None, &None, &None));
        }
        let again = erasures.erase(&grant(town.account), contact.id).await.unwrap();
        assert_eq!(again, erasure);
        // The stop is still known.
        town.hears(Inbound::text(CUSTOMER, "hello again")).await;
        let new = by_number(&town, "+62812").await;
        assert_eq!(new.stop(), Some(StopScope::Marketing));
        let in_between = town.received().await;
        assert_eq!(in_between.last().unwrap().direction, Direction::In);
    })
    .await;
}

async fn exported_person(town: &Town, contact: ContactId) -> String {
    let grants = grant::<ReadMessages>(town.account);
    let started = town.platform.personal_data().start(&grants, contact, None);
    let export = started.await.unwrap();
    town.platform.drain().await.unwrap();
    let exports = town.platform.exports();
    let mut file = exports.open::<PersonalData>(&grant(town.account), export.id).await.unwrap();
    let mut bytes = Vec::new();
    while let Some(part) = file.next_part().await.unwrap() {
        bytes.extend_from_slice(&part);
    }
    let read: serde_json::Value = serde_json::from_slice(&bytes).unwrap();
    assert!(read.as_array().unwrap().len() >= 4);
    String::from_utf8(bytes).unwrap()
}
