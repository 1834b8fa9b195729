//! Buttons and lists.

use kabar_channel::SendError;
use kabar_channel::content::{Button, Buttons, List, ListRow, ListSection};
use serde_json::{Map, Value, json};

use super::put;

/// Reply buttons, or one button that opens a page.
pub(super) fn buttons(content: &Buttons) -> Result<Value, SendError> {
    let (kind, action) = match content.buttons.as_slice() {
        [Button::Url { title, url }] => (
            "cta_url",
            json!({
                "name": "cta_url",
                "parameters": { "display_text": title, "url": url },
            }),
        ),
        buttons => ("button", json!({ "buttons": replies(buttons)? })),
    };
    let frame = Frame {
        header: content.header.as_deref(),
        body: &content.body,
        footer: content.footer.as_deref(),
    };
    Ok(frame.around(kind, action))
}

fn replies(buttons: &[Button]) -> Result<Vec<Value>, SendError> {
    let reply = |button: &Button| match button {
        Button::Reply { id, title } => Ok(json!({
            "type": "reply",
            "reply": { "id": id, "title": title },
        })),
        _ => Err(SendError::refused(
            "buttons",
            "the Cloud API carries reply buttons, or a single URL button, and no call buttons",
        )),
    };
    buttons.iter().map(reply).collect()
}

pub(super) fn list(content: &List) -> Value {
    let sections: Vec<Value> = content.sections.iter().map(section).collect();
    let frame = Frame {
        header: content.header.as_deref(),
        body: &content.body,
        footer: content.footer.as_deref(),
    };
    let action = json!({ "button": content.button, "sections": sections });
    frame.around("list", action)
}

fn section(section: &ListSection) -> Value {
    let rows: Vec<Value> = section.rows.iter().map(row).collect();
    let mut body = Map::new();
    put(&mut body, "title", section.title.as_deref());
    body.insert("rows".to_owned(), json!(rows));
    Value::Object(body)
}

fn row(row: &ListRow) -> Value {
    let mut body = Map::new();
    body.insert("id".to_owned(), json!(row.id));
    body.insert("title".to_owned(), json!(row.title));
    put(&mut body, "description", row.description.as_deref());
    Value::Object(body)
}

/// What surrounds the buttons.
struct Frame<'a> {
    header: Option<&'a str>,
    body: &'a str,
    footer: Option<&'a str>,
}

impl Frame<'_> {
    fn around(&self, kind: &str, action: Value) -> Value {
        let mut interactive = Map::new();
        interactive.insert("type".to_owned(), json!(kind));
        if let Some(text) = self.header.filter(|text| !text.is_empty()) {
            let header = json!({ "type": "text", "text": text });
            interactive.insert("header".to_owned(), header);
        }
        interactive.insert("body".to_owned(), json!({ "text": self.body }));
        if let Some(text) = self.footer.filter(|text| !text.is_empty()) {
            interactive.insert("footer".to_owned(), json!({ "text": text }));
        }
        interactive.insert("action".to_owned(), action);
        Value::Object(interactive)
    }
}
