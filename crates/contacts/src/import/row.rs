//! What a row of a file says.

use std::collections::BTreeMap;

use kabar_core::PhoneNumber;
use kabar_exports::formula::unguarded;
use serde::{Deserialize, Serialize};

use super::columns::{Columns, Holds};
use super::model::ImportOptions;
use crate::check;
use crate::group;
use crate::number::Numbers;
use crate::tag;

/// What a row says beside number and name.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Fields {
    /// Variables.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub variables: BTreeMap<String, String>,
    /// Tags, normalised.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<String>,
    /// Names of groups.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub groups: Vec<String>,
    /// The cells of a row that cannot be taken.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub cells: Vec<String>,
}

/// A row that can be taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    /// The number.
    pub phone: PhoneNumber,
    /// The name.
    pub name: Option<String>,
    /// The rest.
    pub fields: Fields,
}

/// Why a row cannot be taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RowProblem {
    /// The column.
    pub column: String,
    /// What is wrong and how to mend it.
    pub problem: String,
}

/// Reads a row.
///
/// # Errors
/// The first column that is wrong.
pub fn read(
    cells: &[String],
    columns: &Columns,
    options: &ImportOptions,
    numbers: &Numbers,
) -> Result<Candidate, RowProblem> {
    let mut phone = None;
    let mut name = None;
    let mut fields = Fields::default();
    for (place, holds) in columns.holds.iter().enumerate() {
        let title = columns.names.get(place).map(String::as_str).unwrap_or_default();
        let wrong = |problem: String| RowProblem { column: title.to_owned(), problem };
        let cell = cells.get(place).map(String::as_str).unwrap_or_default();
        match holds {
            Holds::Phone => phone = Some(numbers.read(cell).map_err(|e| wrong(e.to_string()))?),
            Holds::Name => name = read_name(unguarded(cell)).map_err(wrong)?,
            Holds::Tags => fields.tags.extend(read_tags(unguarded(cell)).map_err(wrong)?),
            Holds::Groups => fields.groups.extend(read_groups(unguarded(cell)).map_err(wrong)?),
            Holds::Variable(variable) => {
                let value = unguarded(cell);
                if !value.is_empty() {
                    fields.variables.insert(variable.clone(), value.to_owned());
                }
            }
            Holds::Skip => {}
        }
    }
    if let Some((variable, problem)) = check::variables_problem(&fields.variables) {
        return Err(RowProblem { column: variable.unwrap_or("variables").to_owned(), problem });
    }
    fields.tags.extend(options.tags.iter().cloned());
    fields.groups.extend(options.groups.iter().cloned());
    fields.tags.sort_unstable();
    fields.tags.dedup();
    fields.groups.sort_unstable();
    fields.groups.dedup();
    match phone {
        Some(phone) => Ok(Candidate { phone, name, fields }),
        None => Err(RowProblem { column: "phone".to_owned(), problem: "is missing".to_owned() }),
    }
}

fn read_name(cell: &str) -> Result<Option<String>, String> {
    let name = cell.trim();
    match check::name_problem(name) {
        Some(problem) => Err(problem),
        None => Ok(Some(name.to_owned()).filter(|name| !name.is_empty())),
    }
}

fn parted(cell: &str) -> impl Iterator<Item = &str> {
    cell.split([',', ';']).map(str::trim).filter(|word| !word.is_empty())
}

fn read_tags(cell: &str) -> Result<Vec<String>, String> {
    let tags = parted(cell).map(tag::normalised).collect::<Result<Vec<_>, _>>()?;
    if tags.len() > tag::MOST {
        return Err(format!("holds more than {} tags", tag::MOST));
    }
    Ok(tags)
}

fn read_groups(cell: &str) -> Result<Vec<String>, String> {
    let groups: Vec<String> = parted(cell).map(str::to_owned).collect();
    if groups.len() > tag::MOST {
        return Err(format!("holds more than {} groups", tag::MOST));
    }
    for name in &groups {
        group::checked_name(name).map_err(|error| error.to_string())?;
    }
    Ok(groups)
}
