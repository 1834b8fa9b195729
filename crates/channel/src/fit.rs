//! Fitting a content to a channel: as it is, downgraded in a stated way, or refused.
//!
//! What the downgrade does, and nothing else:
//!
//! | content | becomes |
//! |---|---|
//! | reply buttons, lists, polls | numbered text: header, body, `1. title`, footer |
//! | URL and call buttons | a line `title: address` each, unnumbered |
//! | list lines with a description | `1. title – description` |
//!
//! Everything else that a channel cannot carry is refused with the reason. The offered choices are
//! returned with the text, so that an answer "2" can be understood later.

use std::fmt::Write as _;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::capabilities::{Capabilities, ContentKind, Limits};
use crate::content::{Button, Buttons, Content, FieldError, List, Media, Poll};

/// What the caller wants when a channel cannot carry a content.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Fallback {
    /// Downgrade as the module describes; refuse what has no downgrade.
    #[default]
    Downgrade,
    /// Refuse.
    Refuse,
}

/// One of the choices that a message offered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Choice {
    /// The number in a numbered text, from 1.
    pub number: u16,
    /// Our own word for it.
    pub id: String,
    /// What the recipient reads.
    pub title: String,
}

/// A content that a channel can carry.
#[derive(Debug, Clone, PartialEq)]
pub struct Fit {
    /// The content to send.
    pub content: Content,
    /// The kind that was asked for, when it was downgraded.
    pub downgraded_from: Option<ContentKind>,
    /// The choices that the message offers.
    pub choices: Vec<Choice>,
}

/// Checks a content and fits it to what a device can carry.
///
/// ```
/// use kabar_channel::content::Poll;
/// use kabar_channel::{Capabilities, Content, Fallback, fit};
///
/// let poll = Content::Poll(Poll {
///     question: "Lunch?".into(),
///     options: vec!["Soto".into(), "Rawon".into()],
///     selectable: 1,
/// });
/// let fitted = fit(poll.clone(), &Capabilities::text_only(), Fallback::Downgrade).unwrap();
/// assert_eq!(fitted.content, Content::text("Lunch?\n\n1. Soto\n2. Rawon"));
/// assert!(fit(poll, &Capabilities::text_only(), Fallback::Refuse).is_err());
/// ```
///
/// # Errors
/// Every field that cannot be sent, each with its remedy.
pub fn fit(
    content: Content,
    device: &Capabilities,
    fallback: Fallback,
) -> Result<Fit, Vec<FieldError>> {
    let mut problems = Problems::default();
    problems.content(&content);
    problems.nul(&content);
    problems.done()?;
    let choices = choices(&content);
    let kind = content.kind();
    let native = native_problems(&content, device);
    if native.is_empty() {
        return Ok(Fit { content, downgraded_from: None, choices });
    }
    let downgrade = match fallback {
        Fallback::Downgrade => numbered_text(&content),
        Fallback::Refuse => None,
    };
    let Some(body) = downgrade else {
        return Err(native);
    };
    let text = Content::text(body);
    let still = native_problems(&text, device);
    if still.is_empty() {
        Ok(Fit { content: text, downgraded_from: Some(kind), choices })
    } else {
        Err(still)
    }
}

/// Why the device cannot carry the content as it is.
fn native_problems(content: &Content, device: &Capabilities) -> Vec<FieldError> {
    let mut problems = Problems::default();
    if device.carries(content.kind()) {
        problems.limits(content, &device.limits);
    } else {
        problems.add("type", format!("this device's channel cannot carry `{}`", content.kind()));
    }
    problems.0
}

fn choices(content: &Content) -> Vec<Choice> {
    let pairs: Vec<(&str, &str)> = match content {
        Content::Buttons(buttons) => buttons
            .buttons
            .iter()
            .filter_map(|button| match button {
                Button::Reply { id, title } => Some((id.as_str(), title.as_str())),
                _ => None,
            })
            .collect(),
        Content::List(list) => {
            list.rows().map(|row| (row.id.as_str(), row.title.as_str())).collect()
        }
        Content::Poll(poll) => poll.options.iter().map(|o| (o.as_str(), o.as_str())).collect(),
        _ => Vec::new(),
    };
    (1..)
        .zip(pairs)
        .map(|(number, (id, title))| Choice { number, id: id.to_owned(), title: title.to_owned() })
        .collect()
}

/// The text form of buttons, lists and polls; `None` for what has none.
fn numbered_text(content: &Content) -> Option<String> {
    match content {
        Content::Buttons(buttons) => Some(buttons_text(buttons)),
        Content::List(list) => Some(list_text(list)),
        Content::Poll(poll) => Some(poll_text(poll)),
        _ => None,
    }
}

fn framed(header: Option<&str>, body: &str, lines: &str, footer: Option<&str>) -> String {
    let parts = [header.unwrap_or_default(), body, lines.trim_end(), footer.unwrap_or_default()];
    let parts: Vec<&str> = parts.into_iter().filter(|part| !part.is_empty()).collect();
    parts.join("\n\n")
}

fn buttons_text(buttons: &Buttons) -> String {
    let mut lines = String::new();
    let mut number = 0_u16;
    for button in &buttons.buttons {
        // Writing to a String cannot fail.
        let _ = match button {
            Button::Reply { title, .. } => {
                number += 1;
                writeln!(lines, "{number}. {title}")
            }
            Button::Url { title, url } => writeln!(lines, "{title}: {url}"),
            Button::Call { title, phone } => writeln!(lines, "{title}: {phone}"),
        };
    }
    framed(buttons.header.as_deref(), &buttons.body, &lines, buttons.footer.as_deref())
}

fn list_text(list: &List) -> String {
    let mut lines = String::new();
    let mut number = 0_u16;
    for section in &list.sections {
        if let Some(title) = &section.title {
            let _ = writeln!(lines, "*{title}*");
        }
        for row in &section.rows {
            number += 1;
            let _ = match &row.description {
                Some(description) => writeln!(lines, "{number}. {} – {description}", row.title),
                None => writeln!(lines, "{number}. {}", row.title),
            };
        }
    }
    framed(list.header.as_deref(), &list.body, &lines, list.footer.as_deref())
}

fn poll_text(poll: &Poll) -> String {
    let mut lines = String::new();
    for (number, option) in (1..).zip(&poll.options) {
        let number: u16 = number;
        let _ = writeln!(lines, "{number}. {option}");
    }
    framed(None, &poll.question, &lines, None)
}

/// Collects problems, so that a caller mends all fields at once.
#[derive(Default)]
struct Problems(Vec<FieldError>);

impl Problems {
    fn add(&mut self, field: impl Into<String>, problem: impl Into<String>) {
        self.0.push(FieldError::new(field, problem));
    }

    fn done(self) -> Result<(), Vec<FieldError>> {
        if self.0.is_empty() { Ok(()) } else { Err(self.0) }
    }

    fn filled(&mut self, field: &str, text: &str) {
        if text.trim().is_empty() {
            self.add(field, "must not be empty");
        }
    }

    fn at_most(&mut self, field: &str, text: &str, most: usize) {
        let length = text.chars().count();
        if length > most {
            self.add(field, format!("has {length} characters; {most} are allowed"));
        }
    }

    fn count(&mut self, field: &str, count: usize, most: usize) {
        if count > most {
            self.add(field, format!("has {count} entries; {most} are allowed"));
        }
    }

    fn unique<'a>(&mut self, field: &str, texts: impl Iterator<Item = &'a str>) {
        let mut seen = std::collections::BTreeSet::new();
        for text in texts {
            if !seen.insert(text) {
                self.add(field, format!("`{text}` appears twice; each must be different"));
            }
        }
    }

    /// What no channel could send.
    fn content(&mut self, content: &Content) {
        match content {
            Content::Text { body, .. } => self.filled("body", body),
            Content::Location(place) => {
                if !(-90.0..=90.0).contains(&place.latitude) {
                    self.add("latitude", "must be between -90 and 90 degrees");
                }
                if !(-180.0..=180.0).contains(&place.longitude) {
                    self.add("longitude", "must be between -180 and 180 degrees");
                }
            }
            Content::Contacts { cards } => {
                if cards.is_empty() {
                    self.add("cards", "needs at least one card");
                }
                for (index, card) in cards.iter().enumerate() {
                    self.filled(&format!("cards[{index}].name"), &card.name);
                }
            }
            Content::Poll(poll) => self.poll(poll),
            Content::Buttons(buttons) => self.buttons(buttons),
            Content::List(list) => self.list(list),
            Content::Template(template) => {
                self.filled("name", &template.name);
                self.filled("language", &template.language);
            }
            _ => {}
        }
    }

    /// The character NUL: no network carries it, and not every database keeps it.
    fn nul(&mut self, content: &Content) {
        let form = serde_json::to_value(content).unwrap_or_default();
        let mut places = vec![(String::new(), &form)];
        while let Some((place, value)) = places.pop() {
            match value {
                Value::String(text) if text.contains('\0') => {
                    self.add(place, "must not hold the character NUL");
                }
                Value::Array(items) => {
                    let items = items.iter().enumerate();
                    places.extend(items.map(|(index, item)| (format!("{place}[{index}]"), item)));
                }
                Value::Object(fields) => places.extend(fields.iter().map(|(name, item)| {
                    let dot = if place.is_empty() { "" } else { "." };
                    (format!("{place}{dot}{name}"), item)
                })),
                _ => {}
            }
        }
    }

    fn poll(&mut self, poll: &Poll) {
        self.filled("question", &poll.question);
        if poll.options.len() < 2 {
            self.add("options", "needs at least two options");
        }
        for (index, option) in poll.options.iter().enumerate() {
            self.filled(&format!("options[{index}]"), option);
        }
        self.unique("options", poll.options.iter().map(String::as_str));
        if poll.selectable == 0 || usize::from(poll.selectable) > poll.options.len() {
            self.add("selectable", "must be between 1 and the number of options");
        }
    }

    fn buttons(&mut self, buttons: &Buttons) {
        self.filled("body", &buttons.body);
        if buttons.buttons.is_empty() {
            self.add("buttons", "needs at least one button");
        }
        for (index, button) in buttons.buttons.iter().enumerate() {
            self.filled(&format!("buttons[{index}].title"), button.title());
            if let Button::Reply { id, .. } = button {
                self.filled(&format!("buttons[{index}].id"), id);
            }
        }
        self.unique("buttons", buttons.buttons.iter().map(Button::title));
        let ids = buttons.buttons.iter().filter_map(|button| match button {
            Button::Reply { id, .. } => Some(id.as_str()),
            _ => None,
        });
        self.unique("buttons", ids);
    }

    fn list(&mut self, list: &List) {
        self.filled("body", &list.body);
        self.filled("button", &list.button);
        if list.rows().next().is_none() {
            self.add("sections", "needs at least one row");
        }
        for row in list.rows() {
            self.filled("sections.rows.id", &row.id);
            self.filled("sections.rows.title", &row.title);
        }
        self.unique("sections.rows.id", list.rows().map(|row| row.id.as_str()));
        if list.sections.len() > 1 && list.sections.iter().any(|s| s.title.is_none()) {
            self.add("sections.title", "every section needs a title when there are several");
        }
    }

    /// What this device cannot send.
    fn limits(&mut self, content: &Content, limits: &Limits) {
        match content {
            Content::Text { body, .. } => self.at_most("body", body, limits.text),
            Content::Location(place) => {
                self.at_most("name", place.name.as_deref().unwrap_or(""), limits.location_text);
                let address = place.address.as_deref().unwrap_or("");
                self.at_most("address", address, limits.location_text);
            }
            Content::Poll(poll) => self.count("options", poll.options.len(), limits.poll_options),
            Content::Buttons(buttons) => self.button_limits(buttons, limits),
            Content::List(list) => self.list_limits(list, limits),
            _ => {
                if let Some(Media { caption: Some(caption), .. }) = content.media() {
                    self.at_most("caption", caption, limits.caption);
                }
            }
        }
    }

    fn button_limits(&mut self, buttons: &Buttons, limits: &Limits) {
        self.at_most("header", buttons.header.as_deref().unwrap_or(""), limits.header);
        self.at_most("body", &buttons.body, limits.buttons_body);
        self.at_most("footer", buttons.footer.as_deref().unwrap_or(""), limits.header);
        let (mut replies, mut urls, mut calls) = (0, 0, 0);
        for (index, button) in buttons.buttons.iter().enumerate() {
            let field = format!("buttons[{index}].title");
            self.at_most(&field, button.title(), limits.button_title);
            match button {
                Button::Reply { id, .. } => {
                    replies += 1;
                    self.at_most(&format!("buttons[{index}].id"), id, limits.button_id);
                }
                Button::Url { .. } => urls += 1,
                Button::Call { .. } => calls += 1,
            }
        }
        self.count("reply buttons", replies, limits.reply_buttons);
        self.count("url buttons", urls, limits.url_buttons);
        self.count("call buttons", calls, limits.call_buttons);
        let kinds = [replies, urls, calls].into_iter().filter(|count| *count > 0).count();
        if kinds > 1 && !limits.mixed_buttons {
            self.add("buttons", "this channel cannot mix reply, URL and call buttons");
        }
    }

    fn list_limits(&mut self, list: &List, limits: &Limits) {
        self.at_most("header", list.header.as_deref().unwrap_or(""), limits.header);
        self.at_most("body", &list.body, limits.list_body);
        self.at_most("footer", list.footer.as_deref().unwrap_or(""), limits.header);
        self.at_most("button", &list.button, limits.button_title);
        self.count("sections.rows", list.rows().count(), limits.list_rows);
        for section in &list.sections {
            let title = section.title.as_deref().unwrap_or("");
            self.at_most("sections.title", title, limits.row_title);
        }
        for row in list.rows() {
            self.at_most("sections.rows.id", &row.id, limits.row_id);
            self.at_most("sections.rows.title", &row.title, limits.row_title);
            let description = row.description.as_deref().unwrap_or("");
            self.at_most("sections.rows.description", description, limits.row_description);
        }
    }
}
