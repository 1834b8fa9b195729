//! Which contacts fit a filter, as one statement along an index.

use kabar_contacts::ContactFilter;
use kabar_core::Scope;
use sea_orm::DatabaseTransaction;
use uuid::Uuid;

use crate::raw::Sql;

/// What a name's prefix is compared with; the index `contacts_name` says the same.
const SHOWN_NAME: &str = "substr(lower(COALESCE(c.name, c.profile_name)), 1, 100)";
/// The greatest character: everything that begins with a prefix lies before prefix and this.
const LAST: char = '\u{10FFFF}';

/// In which order, and where it begins.
pub(super) enum Walk {
    /// From the oldest contact on.
    Up(Option<Uuid>),
    /// From the newest contact back.
    Down(Option<Uuid>),
}

/// `SELECT c.id AS id …` of at most `limit` contacts that fit.
pub(super) fn matching(
    tx: &DatabaseTransaction,
    scope: Scope,
    filter: &ContactFilter,
    walk: &Walk,
    limit: i64,
) -> Sql {
    let account = scope.account().uuid();
    let mut sql = Sql::new(tx);
    // The narrowest of what is asked leads, and its index gives the order.
    let id = match (filter.group, &filter.tag) {
        (Some(group), _) => {
            sql.push(
                "SELECT c.id AS id FROM contact_group_members m \
                 JOIN contacts c ON c.id = m.contact_id WHERE m.group_id = ",
            )
            .bind(group.uuid());
            "m.contact_id"
        }
        (None, Some(tag)) => {
            sql.push(
                "SELECT c.id AS id FROM contact_tags t \
                 JOIN contacts c ON c.id = t.contact_id WHERE t.account_id = ",
            )
            .bind(account)
            .push(" AND t.tag = ")
            .bind(tag.as_str());
            "t.contact_id"
        }
        (None, None) => {
            sql.push("SELECT c.id AS id FROM contacts c WHERE c.account_id = ").bind(account);
            "c.id"
        }
    };
    sql.push(" AND c.account_id = ").bind(account).push(" AND c.removed_at IS NULL");
    conditions(&mut sql, account, filter);
    let (sign, order, from) = match walk {
        Walk::Up(from) => (" > ", " ASC", from),
        Walk::Down(from) => (" < ", " DESC", from),
    };
    if let Some(from) = from {
        sql.push(" AND ").push(id).push(sign).bind(*from);
    }
    sql.push(" ORDER BY ").push(id).push(order).push(" LIMIT ").bind(limit);
    sql
}

fn conditions(sql: &mut Sql, account: Uuid, filter: &ContactFilter) {
    if let (Some(_), Some(tag)) = (filter.group, &filter.tag) {
        sql.push(
            " AND EXISTS (SELECT 1 FROM contact_tags t WHERE t.contact_id = c.id \
             AND t.account_id = ",
        )
        .bind(account)
        .push(" AND t.tag = ")
        .bind(tag.as_str())
        .push(")");
    }
    if let Some(key) = &filter.identity {
        own_identities(sql, account, key.kind.as_str());
        sql.push(" AND i.namespace = ").bind(key.namespace.as_str());
        sql.push(" AND i.value = ").bind(key.value.as_str()).push(")");
    }
    if let Some(number) = &filter.number {
        own_identities(sql, account, "phone");
        sql.push(" AND ");
        begins(sql, "i.value", number);
        sql.push(")");
    }
    if let Some(name) = &filter.name {
        // The index's own condition: a planner recognises it by its text.
        sql.push(" AND COALESCE(c.name, c.profile_name) IS NOT NULL AND ");
        begins(sql, SHOWN_NAME, &name.to_lowercase());
    }
    match filter.opted_out {
        Some(true) => sql.push(" AND c.marketing_stopped_at IS NOT NULL"),
        Some(false) => sql.push(" AND c.marketing_stopped_at IS NULL"),
        None => sql,
    };
}

fn own_identities(sql: &mut Sql, account: Uuid, kind: &str) {
    sql.push(" AND c.id IN (SELECT i.contact_id FROM identities i WHERE i.account_id = ")
        .bind(account)
        .push(" AND i.valid_until IS NULL AND i.kind = ")
        .bind(kind);
}

/// The column begins with the prefix: a range of bytes on SQLite, a pattern on PostgreSQL.
fn begins(sql: &mut Sql, column: &str, prefix: &str) {
    sql.push("(").push(column);
    if sql.is_postgres() {
        let mut pattern = String::with_capacity(prefix.len() + 1);
        for c in prefix.chars() {
            if matches!(c, '%' | '_' | '\\') {
                pattern.push('\\');
            }
            pattern.push(c);
        }
        pattern.push('%');
        sql.push(" LIKE ").bind(pattern).push(")");
    } else {
        sql.push(" >= ").bind(prefix).push(" AND ").push(column);
        sql.push(" < ").bind(format!("{prefix}{LAST}")).push(")");
    }
}
