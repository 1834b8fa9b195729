//! What the columns of a file hold.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::model::ImportOptions;
use crate::check;
use crate::number::Numbers;

/// What the names of columns begin with that we write for people to read: they are left out when the
/// file is imported again.
pub const OURS: &str = "kabar_";
/// The column that tells what was wrong in a file of failed rows.
pub const PROBLEM: &str = "kabar_problem";
/// What a header says whose column is a variable that has the name of something else.
const VARIABLE: &str = "variable:";

const PHONE: &[&str] = &[
    "phone",
    "phone number",
    "phone no",
    "phonenumber",
    "telephone",
    "telephone number",
    "tel",
    "mobile",
    "mobile phone",
    "mobile number",
    "mobile no",
    "cell",
    "cell phone",
    "cellphone",
    "msisdn",
    "number",
    "contact number",
    "whatsapp",
    "whatsapp number",
    "whatsapp no",
    "wa",
    "wa number",
    "no wa",
    "nomor wa",
    "nomer wa",
    "no whatsapp",
    "nomor whatsapp",
    "no hp",
    "nohp",
    "nomor hp",
    "nomer hp",
    "hp",
    "handphone",
    "no handphone",
    "nomor handphone",
    "no telp",
    "no telepon",
    "nomor telepon",
    "nomor telpon",
    "no telpon",
    "telepon",
    "telp",
    "nomor",
    "nomer",
    "no ponsel",
    "nomor ponsel",
    "ponsel",
    "telefon",
    "nombor telefon",
    "telefono",
    "teléfono",
    "celular",
    "telefone",
    "handy",
    "handynummer",
    "telefonnummer",
];
const NAME: &[&str] = &[
    "name",
    "full name",
    "fullname",
    "contact name",
    "customer name",
    "display name",
    "nama",
    "nama lengkap",
    "nama kontak",
    "nama pelanggan",
    "nama customer",
    "nombre",
    "nome",
    "nom",
    "contact",
    "kontak",
];
const TAGS: &[&str] = &["tags", "tag", "labels", "label", "etiket", "penanda"];
const GROUPS: &[&str] =
    &["groups", "group", "grup", "grup kontak", "kelompok", "segment", "segmen"];

/// What a column holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Holds {
    /// The number.
    Phone,
    /// The name.
    Name,
    /// Tags, parted by commas or semicolons.
    Tags,
    /// Names of groups, parted by commas or semicolons.
    Groups,
    /// A variable.
    Variable(String),
    /// Nothing that is wanted.
    Skip,
}

impl Holds {
    /// The word on the wire.
    pub fn word(&self) -> String {
        match self {
            Self::Phone => "phone".to_owned(),
            Self::Name => "name".to_owned(),
            Self::Tags => "tags".to_owned(),
            Self::Groups => "groups".to_owned(),
            Self::Variable(name) => format!("{VARIABLE}{name}"),
            Self::Skip => "skip".to_owned(),
        }
    }

    fn read(word: &str) -> Result<Self, String> {
        match word {
            "phone" => Ok(Self::Phone),
            "name" => Ok(Self::Name),
            "tags" => Ok(Self::Tags),
            "groups" => Ok(Self::Groups),
            "skip" => Ok(Self::Skip),
            _ => match word.strip_prefix(VARIABLE) {
                Some(name) if check::is_variable(name) => Ok(Self::Variable(name.to_owned())),
                _ => Err("must be phone, name, tags, groups, skip, or `variable:` and a name of \
                          letters, digits and `_`"
                    .to_owned()),
            },
        }
    }
}

/// The columns of a file, left to right.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Columns {
    /// What the header calls them; their places where there is no header.
    pub names: Vec<String>,
    /// What they hold.
    pub holds: Vec<Holds>,
    /// Whether the first row is a header.
    pub header: bool,
}

/// What is wrong with the wanted columns, with the name of the column.
pub(crate) fn check_wanted(columns: &BTreeMap<String, String>) -> Result<(), (String, String)> {
    for (name, word) in columns {
        Holds::read(word).map_err(|problem| (name.clone(), problem))?;
    }
    Ok(())
}

impl Columns {
    /// What the columns hold, by the first row of a file.
    ///
    /// # Errors
    /// What is wrong with the file and how to mend it.
    pub fn recognised(
        first: &[String],
        options: &ImportOptions,
        numbers: &Numbers,
    ) -> Result<Self, String> {
        let wanted: BTreeMap<String, &String> =
            options.columns.iter().map(|(name, word)| (key(name), word)).collect();
        let named = first.iter().any(|name| wanted.contains_key(&key(name)));
        let known = first.iter().any(|name| PHONE.contains(&key(name).as_str()));
        let columns = if named || known {
            Self::of_header(first, &wanted, options.variables)?
        } else {
            Self::without_header(first, &wanted, options.variables, numbers)?
        };
        let phones = columns.holds.iter().filter(|holds| **holds == Holds::Phone).count();
        if phones == 1 {
            return Ok(columns);
        }
        let names: Vec<&str> = first.iter().map(String::as_str).take(20).collect();
        Err(format!(
            "no column holds the numbers: call it `phone`, or say in `columns` which it is; the \
             first row has {names:?}"
        ))
    }

    fn of_header(
        first: &[String],
        wanted: &BTreeMap<String, &String>,
        variables: bool,
    ) -> Result<Self, String> {
        let mut asked = Vec::with_capacity(first.len());
        for name in first {
            let holds = wanted.get(&key(name)).map(|word| Holds::read(word)).transpose()?;
            if let Some(holds) = holds.as_ref().filter(|holds| **holds != Holds::Skip)
                && asked.contains(&Some(holds.clone()))
            {
                return Err(format!(
                    "`columns` says of two columns that they hold {}",
                    holds.word()
                ));
            }
            asked.push(holds);
        }
        let mut holds: Vec<Holds> = Vec::with_capacity(first.len());
        for (name, said) in first.iter().zip(&asked) {
            if let Some(said) = said {
                holds.push(said.clone());
                continue;
            }
            // Of two columns that look like the same the first one is it, and what is said is.
            let taken = |found: &Holds| {
                let there = holds.contains(found) || asked.contains(&Some(found.clone()));
                there && *found != Holds::Skip
            };
            let found = Some(guess(name, variables)).filter(|found| !taken(found));
            let found = found.unwrap_or_else(|| variable(name, variables));
            holds.push(if taken(&found) { Holds::Skip } else { found });
        }
        Ok(Self { names: first.to_vec(), holds, header: true })
    }

    /// A file without a header: the first column with a number, and the first with something else
    /// for the name.
    fn without_header(
        first: &[String],
        wanted: &BTreeMap<String, &String>,
        variables: bool,
        numbers: &Numbers,
    ) -> Result<Self, String> {
        let names: Vec<String> = (1..=first.len()).map(|n| format!("column_{n}")).collect();
        let phone = first.iter().position(|cell| numbers.read(cell).is_ok());
        let named = first.iter().position(|cell| cell.chars().any(char::is_alphabetic));
        let mut holds = Vec::with_capacity(first.len());
        for (place, name) in names.iter().enumerate() {
            let asked = wanted.get(&key(name)).map(|word| Holds::read(word)).transpose()?;
            holds.push(match asked {
                Some(asked) => asked,
                None if phone == Some(place) => Holds::Phone,
                None if phone.is_some() && named == Some(place) => Holds::Name,
                None => variable(name, variables),
            });
        }
        Ok(Self { names, holds, header: false })
    }
}

/// What makes two headers the same.
fn key(name: &str) -> String {
    let plain: String = name
        .chars()
        .map(|c| if matches!(c, '.' | '_' | '-' | ':' | '*') { ' ' } else { c })
        .collect();
    check::folded(&plain)
}

fn guess(name: &str, variables: bool) -> Holds {
    if name.trim().starts_with(OURS) {
        return Holds::Skip;
    }
    if let Some(name) = name.trim().strip_prefix(VARIABLE) {
        return variable(name, variables);
    }
    let known = key(name);
    for (words, holds) in
        [(PHONE, Holds::Phone), (NAME, Holds::Name), (TAGS, Holds::Tags), (GROUPS, Holds::Groups)]
    {
        if words.contains(&known.as_str()) {
            return holds;
        }
    }
    variable(name, variables)
}

/// A variable by its header: letters and digits stay as they are, the rest becomes `_`.
fn variable(name: &str, variables: bool) -> Holds {
    if !variables {
        return Holds::Skip;
    }
    let name = name.trim();
    if check::is_variable(name) {
        return Holds::Variable(name.to_owned());
    }
    let word: String = name
        .chars()
        .map(|c| if c.is_alphanumeric() { c } else { '_' })
        .take(check::VARIABLE)
        .collect();
    let word = word.trim_matches('_');
    if check::is_variable(word) { Holds::Variable(word.to_owned()) } else { Holds::Skip }
}

/// What an export calls a variable's column, so that it comes back as that variable.
pub(crate) fn variable_header(name: &str) -> String {
    match guess(name, true) {
        Holds::Variable(same) if same == name => name.to_owned(),
        _ => format!("{VARIABLE}{name}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn recognised(first: &[&str], wanted: &[(&str, &str)]) -> Result<Vec<String>, String> {
        let first: Vec<String> = first.iter().map(|name| (*name).to_owned()).collect();
        let columns = wanted.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned())).collect();
        let options = ImportOptions { columns, ..ImportOptions::default() };
        let numbers = Numbers::of(Some("ID".to_owned()));
        let columns = Columns::recognised(&first, &options, &numbers)?;
        let mut words: Vec<String> = columns.holds.iter().map(Holds::word).collect();
        words.push(if columns.header { "header" } else { "no header" }.to_owned());
        Ok(words)
    }

    #[test]
    fn headers_are_recognised() {
        for (first, wanted, holds) in [
            (&["phone", "name"][..], &[][..], &["phone", "name", "header"][..]),
            (&["Nama Lengkap", "No. HP"], &[], &["name", "phone", "header"]),
            (
                &["NOMOR_WA", "Nama", "Grup", "Label"],
                &[],
                &["phone", "name", "groups", "tags", "header"],
            ),
            (&["Teléfono", "Nombre"], &[], &["phone", "name", "header"]),
            // Of two that look alike the first is it.
            (&["Phone", "Mobile"], &[], &["phone", "variable:Mobile", "header"]),
            (
                &["wa", "Tanggal Lahir", "???", "kabar_problem"],
                &[],
                &["phone", "variable:Tanggal_Lahir", "skip", "skip", "header"],
            ),
            (&["wa", "variable:phone"], &[], &["phone", "variable:phone", "header"]),
            (
                &["A", "B"],
                &[("b", "phone"), ("A", "variable:code")],
                &["variable:code", "phone", "header"],
            ),
            (
                &["phone", "other"],
                &[("phone", "skip"), ("other", "phone")],
                &["skip", "phone", "header"],
            ),
            (&["phone", "mobile"], &[("mobile", "phone")], &["variable:phone", "phone", "header"]),
            // Without a header.
            (
                &["0812-3456-789", "Siti", "x"],
                &[],
                &["phone", "name", "variable:column_3", "no header"],
            ),
            (&["Siti", "+62812 3456 789"], &[], &["name", "phone", "no header"]),
        ] {
            let found = recognised(first, wanted);
            let holds: Vec<String> = holds.iter().map(|word| (*word).to_owned()).collect();
            assert_eq!(found.as_ref(), Ok(&holds), "{first:?}");
        }
        for (first, wanted) in [
            (&["a", "b"][..], &[][..]),
            (&["phone"], &[("phone", "skip")]),
            (&["a", "b"], &[("a", "phone"), ("b", "phone")]),
        ] {
            let problem = recognised(first, wanted);
            assert!(problem.is_err(), "{first:?}: {problem:?}");
        }
    }
}
