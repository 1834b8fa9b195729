//! All that is kept about one contact, over every table.

use std::collections::BTreeSet;

use async_trait::async_trait;
use kabar_channel::{Content, IncomingContent};
use kabar_contacts::Identity;
use kabar_core::{ContactId, MediaId, MessageId, Page, PageRequest, Scope, StoreError, Timestamp};
use kabar_messaging::PersonRepo;
use kabar_messaging::person::{Blanked, Erasure, MergeEntry};
use sea_orm::{ColumnTrait as _, DbErr, EntityTrait as _, QueryFilter as _, QueryResult, Value};
use uuid::Uuid;

use super::outbox::is_new_contact;
use crate::contacts::{identity, identity_from_row};
use crate::convert::{json, micros, micros_opt, time, time_opt};
use crate::error::store;
use crate::raw::Sql;
use crate::unit::Unit;

pub(super) struct SeaPerson<'a> {
    pub(super) unit: &'a Unit,
    pub(super) scope: Scope,
}

/// A conversation that is to be moved.
struct Chat {
    id: Uuid,
    device: Uuid,
    contact: Uuid,
}

impl SeaPerson<'_> {
    fn account(&self) -> Uuid {
        self.scope.account().uuid()
    }

    /// Runs text and values in turn: `["UPDATE … = ", " AND … = ", …]`.
    async fn run(
        &self,
        parts: &[&str],
        values: impl IntoIterator<Item = Value>,
    ) -> Result<u64, StoreError> {
        let mut sql = Sql::new(self.unit.tx());
        let mut values = values.into_iter();
        for part in parts {
            sql.push(part);
            if let Some(value) = values.next() {
                sql.bind(value);
            }
        }
        self.unit.execute(sql).await
    }

    async fn chats(&self, contacts: &[Uuid]) -> Result<Vec<Chat>, StoreError> {
        let mut sql = Sql::new(self.unit.tx());
        sql.push("SELECT id, device_id, contact_id FROM conversations WHERE account_id = ")
            .bind(self.account())
            // Along the index of each device.
            .push(" AND device_id IN (SELECT id FROM devices WHERE account_id = ")
            .bind(self.account())
            .push(") AND contact_id IN ")
            .list(contacts.iter().copied())
            .push(" ORDER BY device_id, contact_id");
        let rows = self.unit.rows(sql).await?;
        let read = |row: &QueryResult| -> Result<Chat, DbErr> {
            Ok(Chat {
                id: row.try_get("", "id")?,
                device: row.try_get("", "device_id")?,
                contact: row.try_get("", "contact_id")?,
            })
        };
        rows.iter().map(|row| read(row).map_err(store)).collect()
    }

    /// Moves a conversation, into the kept contact's own on the same device if it has one.
    async fn move_chat(
        &self,
        chat: &Chat,
        kept: Uuid,
        own: Option<Uuid>,
    ) -> Result<(), StoreError> {
        let Some(own) = own else {
            self.run(
                &["UPDATE conversations SET contact_id = ", " WHERE id = "],
                [kept.into(), chat.id.into()],
            )
            .await?;
            return Ok(());
        };
        self.run(
            &["UPDATE messages SET conversation_id = ", " WHERE conversation_id = "],
            [own.into(), chat.id.into()],
        )
        .await?;
        // The later time of both; what is not there is never the later one.
        let later = |column: &str| {
            format!(
                "{column} = CASE WHEN c.{column} IS NULL OR o.{column} > c.{column} \
                 THEN o.{column} ELSE c.{column} END"
            )
        };
        let columns =
            ["last_in_at", "last_out_at", "last_at", "window_expires_at", "entry_point_expires_at"];
        let mut set: Vec<String> = columns.iter().map(|column| later(column)).collect();
        set.push("contacted_at = COALESCE(c.contacted_at, o.contacted_at)".to_owned());
        let text = format!(
            "UPDATE conversations AS c SET unread = c.unread + o.unread, {} \
             FROM conversations o WHERE o.id = ",
            set.join(", ")
        );
        self.run(&[&text, " AND c.id = "], [chat.id.into(), own.into()]).await?;
        self.run(&["DELETE FROM conversations WHERE id = "], [chat.id.into()]).await?;
        Ok(())
    }

    /// Brings the kept contact's line on a device in order, and drops the other one.
    async fn join_lanes(&self, device: Uuid, kept: Uuid, merged: Uuid) -> Result<(), StoreError> {
        self.run(
            &["DELETE FROM lanes WHERE device_id = ", " AND contact_id = "],
            [device.into(), merged.into()],
        )
        .await?;
        let head = "FROM messages m WHERE m.device_id = l.device_id AND m.contact_id = l.contact_id \
                    AND m.queued";
        let text = format!(
            "INSERT INTO lanes (device_id, contact_id, account_id, priority, ready_at, owner, fence) \
             SELECT l.device_id, l.contact_id, l.account_id, (SELECT MIN(m.priority) {head}), \
             (SELECT CASE WHEN m.next_at > m.due_at THEN m.next_at ELSE m.due_at END {head} \
              ORDER BY m.due_at, m.id LIMIT 1), NULL, 0 \
             FROM conversations l WHERE l.device_id = "
        );
        let rest = format!(
            " AND EXISTS (SELECT 1 {head}) ON CONFLICT (device_id, contact_id) DO UPDATE \
             SET priority = excluded.priority, ready_at = CASE WHEN lanes.owner IS NULL \
             THEN excluded.ready_at ELSE lanes.ready_at END"
        );
        let mut sql = Sql::new(self.unit.tx());
        sql.push(&text).bind(device).push(" AND l.contact_id = ").bind(kept).push(&rest);
        self.unit.execute(sql).await?;
        // Together they may be somebody who wrote.
        let mut sql = Sql::new(self.unit.tx());
        sql.push("UPDATE lanes SET new_contact = ")
            .push(&is_new_contact("lanes"))
            .push(" WHERE device_id = ")
            .bind(device)
            .push(" AND contact_id = ")
            .bind(kept);
        self.unit.execute(sql).await.map(|_| ())
    }

    /// What belongs to a contact in the room of contacts.
    async fn move_belongings(&self, kept: Uuid, merged: Uuid) -> Result<(), StoreError> {
        let account = self.account();
        for (table, what) in [("contact_group_members", "group_id"), ("contact_tags", "tag")] {
            let text = format!(
                "INSERT INTO {table} (account_id, {what}, added_at, contact_id) \
                 SELECT account_id, {what}, added_at, "
            );
            let mut sql = Sql::new(self.unit.tx());
            sql.push(&text).bind(kept).push(" FROM ").push(table);
            sql.push(" WHERE account_id = ").bind(account);
            sql.push(" AND contact_id = ").bind(merged).push(" ON CONFLICT DO NOTHING");
            self.unit.execute(sql).await?;
            let text = format!("DELETE FROM {table} WHERE account_id = ");
            self.run(&[&text, " AND contact_id = "], [account.into(), merged.into()]).await?;
        }
        for table in ["identities", "contact_preferences", "auto_answers"] {
            let text = format!("UPDATE {table} SET contact_id = ");
            self.run(
                &[&text, " WHERE account_id = ", " AND contact_id = "],
                [kept.into(), account.into(), merged.into()],
            )
            .await?;
        }
        self.run(
            &["UPDATE contacts SET merged_into = ", " WHERE merged_into = "],
            [kept.into(), merged.into()],
        )
        .await?;
        Ok(())
    }
}

fn merge_from_row(row: &QueryResult) -> Result<MergeEntry, StoreError> {
    let read = || -> Result<MergeEntry, DbErr> {
        Ok(MergeEntry {
            id: row.try_get("", "id")?,
            kept: ContactId::from(row.try_get::<Uuid>("", "kept_id")?),
            merged: ContactId::from(row.try_get::<Uuid>("", "merged_id")?),
            reason: row.try_get("", "reason")?,
            actor: row.try_get("", "actor")?,
            at: time(row.try_get("", "at")?),
        })
    };
    read().map_err(store)
}

fn erasure_from_row(row: &QueryResult) -> Result<Erasure, StoreError> {
    let read = || -> Result<Erasure, DbErr> {
        let count = |name| {
            row.try_get::<i64>("", name).map(|count| u64::try_from(count).unwrap_or_default())
        };
        Ok(Erasure {
            contact: ContactId::from(row.try_get::<Uuid>("", "contact_id")?),
            done: row.try_get::<String>("", "state")? == "done",
            messages: count("messages")?,
            files: count("files")?,
            position: row.try_get::<Option<Uuid>>("", "position")?.map(MessageId::from),
            actor: row.try_get("", "actor")?,
            created_at: time(row.try_get("", "created_at")?),
            updated_at: time(row.try_get("", "updated_at")?),
            finished_at: time_opt(row.try_get("", "finished_at")?),
        })
    };
    read().map_err(store)
}

fn state(erasure: &Erasure) -> &'static str {
    if erasure.done { "done" } else { "running" }
}

fn signed(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

/// What a message holds that was blanked: nothing, in the form that its side has.
const BLANK: &str = ", words = NULL, reference = NULL, recipient = NULL, asked_for = NULL, \
    network_id = NULL, wire_id = NULL, dedupe_key = NULL, author = NULL, reply_to = NULL, choices = NULL, \
    prepared = NULL, reason_text = NULL, media_id = NULL, referral = NULL, updated_at = ";

#[async_trait]
impl PersonRepo for SeaPerson<'_> {
    async fn identities(&mut self, contact: ContactId) -> Result<Vec<Identity>, StoreError> {
        let rows = identity::Entity::find()
            .filter(identity::Column::AccountId.eq(self.account()))
            .filter(identity::Column::ContactId.eq(contact.uuid()))
            .all(self.unit.tx())
            .await
            .map_err(store)?;
        rows.into_iter().map(identity_from_row).collect()
    }

    async fn existed(&mut self, contact: ContactId) -> Result<bool, StoreError> {
        let mut sql = Sql::new(self.unit.tx());
        sql.push("SELECT id FROM contacts WHERE account_id = ")
            .bind(self.account())
            .push(" AND id = ")
            .bind(contact.uuid());
        Ok(!self.unit.rows(sql).await?.is_empty())
    }

    async fn busy(&mut self, contacts: &[ContactId]) -> Result<bool, StoreError> {
        let ids: Vec<Uuid> = contacts.iter().map(|contact| contact.uuid()).collect();
        let chats = self.chats(&ids).await?;
        if self.unit.locks_rows() {
            for chat in &chats {
                let mut sql = Sql::new(self.unit.tx());
                sql.push("SELECT fence FROM lanes WHERE device_id = ")
                    .bind(chat.device)
                    .push(" AND contact_id = ")
                    .bind(chat.contact)
                    .push(" FOR UPDATE");
                self.unit.rows(sql).await?;
            }
        }
        for chat in &chats {
            let mut sql = Sql::new(self.unit.tx());
            sql.push("SELECT id FROM messages WHERE queued AND status = 'processing'")
                .push(" AND device_id = ")
                .bind(chat.device)
                .push(" AND contact_id = ")
                .bind(chat.contact)
                .push(" LIMIT 1");
            if !self.unit.rows(sql).await?.is_empty() {
                return Ok(true);
            }
        }
        Ok(false)
    }

    async fn absorb(&mut self, merge: &MergeEntry) -> Result<(), StoreError> {
        let (kept, merged) = (merge.kept.uuid(), merge.merged.uuid());
        let chats = self.chats(&[kept, merged]).await?;
        let devices: BTreeSet<Uuid> = chats.iter().map(|chat| chat.device).collect();
        for chat in chats.iter().filter(|chat| chat.contact == merged) {
            let own = chats.iter().find(|own| own.contact == kept && own.device == chat.device);
            self.move_chat(chat, kept, own.map(|own| own.id)).await?;
        }
        self.run(
            &["UPDATE messages SET contact_id = ", " WHERE account_id = ", " AND contact_id = "],
            [kept.into(), self.account().into(), merged.into()],
        )
        .await?;
        for device in devices {
            self.join_lanes(device, kept, merged).await?;
        }
        self.move_belongings(kept, merged).await?;
        self.run(
            &[
                "UPDATE contacts SET name = NULL, profile_name = NULL, marketing_stopped_at = NULL, \
                 stop_scope = NULL, stop_source = NULL, merged_into = ",
                ", variables = ",
                ", removed_at = ",
                ", updated_at = ",
                " WHERE account_id = ",
                " AND id = ",
            ],
            [
                kept.into(),
                serde_json::json!({}).into(),
                micros(merge.at).into(),
                micros(merge.at).into(),
                self.account().into(),
                merged.into(),
            ],
        )
        .await?;
        let mut sql = Sql::new(self.unit.tx());
        sql.push(
            "INSERT INTO contact_merges (id, account_id, kept_id, merged_id, reason, actor, at) \
             VALUES ",
        )
        .list([
            Value::from(merge.id),
            self.account().into(),
            kept.into(),
            merged.into(),
            merge.reason.as_str().into(),
            merge.actor.clone().into(),
            micros(merge.at).into(),
        ]);
        self.unit.execute(sql).await?;
        Ok(())
    }

    async fn merges(&mut self, page: PageRequest) -> Result<Page<MergeEntry>, StoreError> {
        let mut sql = Sql::new(self.unit.tx());
        sql.push("SELECT * FROM contact_merges WHERE account_id = ").bind(self.account());
        if let Some(after) = page.after {
            sql.push(" AND id < ").bind(after.id());
        }
        sql.push(" ORDER BY id DESC LIMIT ").bind(i64::from(page.limit) + 1);
        let rows = self.unit.rows(sql).await?;
        let entries = rows.iter().map(merge_from_row).collect::<Result<Vec<_>, _>>()?;
        Ok(Page::from_rows(entries, page, |entry| entry.id))
    }

    async fn begin_erasure(&mut self, erasure: &Erasure) -> Result<bool, StoreError> {
        let mut sql = Sql::new(self.unit.tx());
        sql.push(
            "INSERT INTO contact_erasures (contact_id, account_id, state, messages, files, \
             position, actor, created_at, updated_at, finished_at) VALUES ",
        )
        .list([
            Value::from(erasure.contact.uuid()),
            self.account().into(),
            state(erasure).into(),
            signed(erasure.messages).into(),
            signed(erasure.files).into(),
            erasure.position.map(MessageId::uuid).into(),
            erasure.actor.as_str().into(),
            micros(erasure.created_at).into(),
            micros(erasure.updated_at).into(),
            micros_opt(erasure.finished_at).into(),
        ])
        .push(" ON CONFLICT DO NOTHING");
        Ok(self.unit.execute(sql).await? == 1)
    }

    async fn erasure(&mut self, contact: ContactId) -> Result<Option<Erasure>, StoreError> {
        let mut sql = Sql::new(self.unit.tx());
        sql.push("SELECT * FROM contact_erasures WHERE account_id = ")
            .bind(self.account())
            .push(" AND contact_id = ")
            .bind(contact.uuid());
        self.unit.rows(sql).await?.first().map(erasure_from_row).transpose()
    }

    async fn save_erasure(&mut self, erasure: &Erasure) -> Result<(), StoreError> {
        self.run(
            &[
                "UPDATE contact_erasures SET state = ",
                ", messages = ",
                ", files = ",
                ", position = ",
                ", updated_at = ",
                ", finished_at = ",
                " WHERE account_id = ",
                " AND contact_id = ",
            ],
            [
                state(erasure).into(),
                signed(erasure.messages).into(),
                signed(erasure.files).into(),
                erasure.position.map(MessageId::uuid).into(),
                micros(erasure.updated_at).into(),
                micros_opt(erasure.finished_at).into(),
                self.account().into(),
                erasure.contact.uuid().into(),
            ],
        )
        .await?;
        Ok(())
    }

    async fn cancel_waiting(
        &mut self,
        contact: ContactId,
        at: Timestamp,
    ) -> Result<u64, StoreError> {
        let cancelled = self
            .run(
                &[
                    "UPDATE messages SET status = 'cancelled', stage = NULL, queued = ",
                    ", held_until = NULL, reason_code = 'erased', reason_text = NULL, updated_at = ",
                    " WHERE queued AND status IN ('pending', 'held') AND account_id = ",
                    " AND contact_id = ",
                ],
                [
                    false.into(),
                    micros(at).into(),
                    self.account().into(),
                    contact.uuid().into(),
                ],
            )
            .await?;
        // What is uncertain is not sent again either.
        self.run(
            &[
                "UPDATE messages SET queued = ",
                " WHERE queued AND account_id = ",
                " AND contact_id = ",
            ],
            [false.into(), self.account().into(), contact.uuid().into()],
        )
        .await?;
        for chat in self.chats(&[contact.uuid()]).await? {
            self.run(
                &["DELETE FROM lanes WHERE device_id = ", " AND contact_id = "],
                [chat.device.into(), chat.contact.into()],
            )
            .await?;
        }
        Ok(cancelled)
    }

    async fn blank_messages(
        &mut self,
        contact: ContactId,
        after: Option<MessageId>,
        limit: u32,
        at: Timestamp,
    ) -> Result<Blanked, StoreError> {
        let mut sql = Sql::new(self.unit.tx());
        sql.push("SELECT id, media_id FROM messages WHERE account_id = ")
            .bind(self.account())
            .push(" AND contact_id = ")
            .bind(contact.uuid());
        if let Some(after) = after {
            sql.push(" AND id > ").bind(after.uuid());
        }
        sql.push(" ORDER BY id LIMIT ").bind(i64::from(limit));
        let (mut ids, mut files) = (Vec::new(), Vec::new());
        for row in self.unit.rows(sql).await? {
            ids.push(row.try_get::<Uuid>("", "id").map_err(store)?);
            let file: Option<Uuid> = row.try_get("", "media_id").map_err(store)?;
            files.extend(file.map(MediaId::from));
        }
        let Some(last) = ids.last().copied() else { return Ok(Blanked::default()) };
        for (theirs, content) in [
            (true, json(&IncomingContent::Text { body: String::new() })?),
            (false, json(&Content::text(""))?),
        ] {
            let mut sql = Sql::new(self.unit.tx());
            sql.push("UPDATE messages SET content = ")
                .bind(content)
                .push(BLANK)
                .bind(micros(at))
                .push(" WHERE origin")
                .push(if theirs { " IN " } else { " NOT IN " })
                .push("('contact', 'phone_echo', 'history') AND id IN ")
                .list(ids.iter().copied());
            self.unit.execute(sql).await?;
        }
        for table in ["receipts", "auto_answers"] {
            let text = match table {
                "receipts" => "DELETE FROM receipts WHERE message_id IN ",
                _ => "UPDATE auto_answers SET trace = '{}' WHERE message_id IN ",
            };
            let mut sql = Sql::new(self.unit.tx());
            sql.push(text).list(ids.iter().copied());
            self.unit.execute(sql).await?;
        }
        let messages = ids.len() as u64;
        Ok(Blanked { messages, last: Some(MessageId::from(last)), files })
    }

    async fn forget_files(&mut self, files: &[MediaId], at: Timestamp) -> Result<(), StoreError> {
        if files.is_empty() {
            return Ok(());
        }
        let mut sql = Sql::new(self.unit.tx());
        sql.push("UPDATE media SET filename = NULL, removed_at = ")
            .bind(micros(at))
            .push(" WHERE account_id = ")
            .bind(self.account())
            .push(" AND id IN ")
            .list(files.iter().map(|file| file.uuid()));
        self.unit.execute(sql).await?;
        Ok(())
    }

    async fn blank_contact(
        &mut self,
        contact: ContactId,
        ids: &[String],
        at: Timestamp,
    ) -> Result<(), StoreError> {
        let account = self.account();
        for id in ids {
            let mut sql = Sql::new(self.unit.tx());
            sql.push("DELETE FROM raw_bodies WHERE ");
            if sql.is_postgres() {
                sql.push("position(").bind(id.as_bytes().to_vec()).push(" IN body) > 0");
            } else {
                sql.push("instr(body, ").bind(id.as_bytes().to_vec()).push(") > 0");
            }
            self.unit.execute(sql).await?;
            self.run(
                &["DELETE FROM quarantine WHERE account_id = ", " AND raw LIKE "],
                [account.into(), format!("%{id}%").into()],
            )
            .await?;
            self.run(
                &[
                    "UPDATE contact_import_rows SET phone = NULL, name = NULL, fields = ",
                    " WHERE phone = ",
                    " AND import_id IN (SELECT id FROM contact_imports WHERE account_id = ",
                    ")",
                ],
                [serde_json::json!({}).into(), format!("+{id}").into(), account.into()],
            )
            .await?;
        }
        for table in ["identities", "contact_group_members", "contact_tags"] {
            let text = format!("DELETE FROM {table} WHERE account_id = ");
            let of = [account.into(), contact.uuid().into()];
            self.run(&[&text, " AND contact_id = "], of).await?;
        }
        self.run(
            &[
                "UPDATE contact_preferences SET detail = NULL WHERE account_id = ",
                " AND contact_id = ",
            ],
            [account.into(), contact.uuid().into()],
        )
        .await?;
        self.run(
            &[
                "UPDATE contacts SET name = NULL, profile_name = NULL, consent_source = NULL, \
                 variables = ",
                ", removed_at = COALESCE(removed_at, ",
                "), updated_at = ",
                " WHERE account_id = ",
                " AND id = ",
            ],
            [
                serde_json::json!({}).into(),
                micros(at).into(),
                micros(at).into(),
                account.into(),
                contact.uuid().into(),
            ],
        )
        .await?;
        Ok(())
    }
}
