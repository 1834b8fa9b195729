//! A file of contacts, of which every row counts once.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde_json::{Value, json};

use super::{state, until};
use crate::api::Api;

/// Rows that make a contact.
const NEW: usize = 4_000;
/// Rows that repeat a number.
const DUPLICATE: usize = 40;
/// Rows without a number.
const INVALID: usize = 20;

fn phone(n: usize) -> String {
    format!("+62816{n:07}")
}

fn name(n: usize) -> String {
    format!("Contact {n}")
}

fn file() -> String {
    let mut file = "phone,name\n".to_owned();
    for n in 0..NEW {
        writeln!(file, "{},{}", phone(n), name(n)).unwrap();
    }
    for n in 0..DUPLICATE {
        writeln!(file, "{},Somebody", phone(n * 7)).unwrap();
    }
    for n in 0..INVALID {
        writeln!(file, "nobody {n},Nobody").unwrap();
    }
    file
}

/// Uploads the file and waits until it can be confirmed; returns its path.
pub(super) async fn upload(api: &Api) -> String {
    let made = api.upload("/contact-imports", "contacts.csv", file()).await;
    let path = format!("/contact-imports/{}", made["id"].as_str().unwrap());
    until(api, &path, |import| state(import) != "reading").await;
    path
}

/// Confirms it, and waits until a part is carried out.
pub(super) async fn begin(api: &Api, path: &str) {
    api.post(&format!("{path}/confirm"), &json!({}), "confirm").await;
    until(api, path, |import| import["progress"] != 0).await;
}

/// Says how far it is.
pub(super) async fn tell(api: &Api, path: &str) {
    let import = api.get(path).await;
    let rows = NEW + DUPLICATE + INVALID;
    eprintln!("import: {}, {} of {rows} rows and a header", state(&import), import["progress"]);
}

/// It was carried out, and made each contact once.
pub(super) async fn check(api: &Api, path: &str) {
    let import = until(api, path, |import| state(import) != "carrying_out").await;
    assert_eq!(state(&import), "done", "{import}");
    let counts = &import["counts"];
    let number = |of: &Value, word: &str| usize::try_from(of[word].as_u64().unwrap()).unwrap();
    assert_eq!(number(counts, "rows"), NEW + DUPLICATE + INVALID, "{import}");
    assert_eq!(number(counts, "duplicate"), DUPLICATE, "{import}");
    let results = &import["results"];
    assert_eq!(number(results, "created"), NEW, "{import}");
    assert_eq!(number(results, "updated"), 0, "{import}");
    assert_eq!(number(results, "skipped"), DUPLICATE, "{import}");
    assert_eq!(number(results, "failed"), INVALID, "{import}");
    check_contacts(api).await;
}

async fn check_contacts(api: &Api) {
    let mut names: BTreeMap<String, Vec<Value>> = BTreeMap::new();
    for contact in api.all("/contacts").await {
        let phone = contact["phone"].as_str().unwrap().to_owned();
        names.entry(phone).or_default().push(contact["name"].clone());
    }
    let doubled: Vec<_> = names.iter().filter(|(_, names)| names.len() > 1).collect();
    assert!(doubled.is_empty(), "contacts that are there twice: {doubled:?}");
    for n in 0..NEW {
        let known = names.get(&phone(n)).unwrap_or_else(|| panic!("{} is missing", phone(n)));
        assert_eq!(known[0], name(n), "{}", phone(n));
    }
    let imported = names.keys().filter(|number| number.starts_with("+62816")).count();
    assert_eq!(imported, NEW, "nobody else came");
    eprintln!("import: {NEW} contacts made once, {DUPLICATE} repeated, {INVALID} without a number");
}
