//! Interactive messages: buttons, lists, links, flows, products, carousels, requests.

use serde_json::Value;

use super::Draft;
use super::contents::attachment;
use super::fields::{
    Checked, Object, array, distinct, item, object, optional_text, text, web_address,
};
use crate::graph_error::GraphError;
use crate::inbound::MediaKind;

const BODY_MAX: usize = 1_024;
const LIST_BODY_MAX: usize = 4_096;
const FOOTER_MAX: usize = 60;
const HEADER_MAX: usize = 60;
const BUTTON_ID_MAX: usize = 256;
const BUTTON_TITLE_MAX: usize = 20;
const ROW_ID_MAX: usize = 200;
const ROW_TITLE_MAX: usize = 24;
const ROW_DESCRIPTION_MAX: usize = 72;
const SECTION_TITLE_MAX: usize = 24;
const MAX_SECTIONS: usize = 10;
const MAX_ROWS: usize = 10;
const MAX_PRODUCTS: usize = 30;

/// What a kind of interactive message allows above its action.
struct Shape {
    header: Header,
    body: Option<usize>,
}

#[derive(PartialEq, Eq)]
enum Header {
    None,
    TextOnly,
    Any,
    RequiredText,
}

pub(super) fn check(body: &Object, draft: &mut Draft) -> Checked {
    let content = object(body, "interactive", "interactive")?;
    let kind = text(content, "type", "interactive['type']", 64)?;
    let any = Shape { header: Header::Any, body: Some(BODY_MAX) };
    let bare = Shape { header: Header::None, body: Some(BODY_MAX) };
    let shape = match kind {
        "button" | "cta_url" | "flow" => any,
        "list" => Shape { header: Header::TextOnly, body: Some(LIST_BODY_MAX) },
        "product" => Shape { header: Header::None, body: None },
        "product_list" => Shape { header: Header::RequiredText, body: Some(BODY_MAX) },
        "location_request_message"
        | "request_contact_info"
        | "address_message"
        | "catalog_message"
        | "carousel"
        | "call_permission_request" => bare,
        other => {
            let text = format!("Param interactive['type'] has an unknown value \"{other}\".");
            return Err(GraphError::parameter(text));
        }
    };
    surround(content, &shape, draft)?;
    let action = object(content, "action", "interactive['action']")?;
    match kind {
        "button" => buttons(action),
        "list" => list(action),
        "cta_url" => link(action),
        "flow" => flow(action),
        "product" => product(action),
        "product_list" => product_list(action),
        "carousel" => carousel(action, draft),
        "location_request_message" => named(action, "send_location"),
        other => named(action, other),
    }
}

/// Header, body and footer.
fn surround(content: &Object, shape: &Shape, draft: &mut Draft) -> Checked {
    header(content, &shape.header, draft)?;
    match shape.body {
        Some(max) => {
            let part = object(content, "body", "interactive['body']")?;
            text(part, "text", "interactive['body']['text']", max)?.clone_into(&mut draft.text);
        }
        None if content.contains_key("body") => {
            let part = object(content, "body", "interactive['body']")?;
            text(part, "text", "interactive['body']['text']", BODY_MAX)?;
        }
        None => {}
    }
    if content.contains_key("footer") {
        let part = object(content, "footer", "interactive['footer']")?;
        text(part, "text", "interactive['footer']['text']", FOOTER_MAX)?;
    }
    Ok(())
}

fn header(content: &Object, allowed: &Header, draft: &mut Draft) -> Checked {
    if !content.contains_key("header") {
        return if *allowed == Header::RequiredText {
            Err(GraphError::missing("interactive['header']"))
        } else {
            Ok(())
        };
    }
    if *allowed == Header::None {
        return Err(GraphError::value("A header is not allowed for this type of message"));
    }
    let part = object(content, "header", "interactive['header']")?;
    let kind = text(part, "type", "interactive['header']['type']", 16)?;
    let media = match kind {
        "text" => {
            text(part, "text", "interactive['header']['text']", HEADER_MAX)?;
            return Ok(());
        }
        "image" => MediaKind::Image,
        "video" => MediaKind::Video,
        "document" => MediaKind::Document,
        _ => return Err(GraphError::value("Header type is not valid")),
    };
    if *allowed != Header::Any {
        return Err(GraphError::value("Only text headers are allowed for this type of message"));
    }
    let path = format!("interactive['header']['{kind}']");
    attachment(object(part, kind, &path)?, media, &path, draft)
}

fn named(action: &Object, name: &str) -> Checked {
    let found = text(action, "name", "interactive['action']['name']", 64)?;
    if found != name {
        return Err(GraphError::value(format!("interactive['action']['name'] must be {name}")));
    }
    if name == "address_message" {
        let parameters = parameters(action)?;
        text(parameters, "country", "parameters['country']", 2)?;
    }
    Ok(())
}

fn parameters(action: &Object) -> Checked<&Object> {
    object(action, "parameters", "interactive['action']['parameters']")
}

fn buttons(action: &Object) -> Checked {
    let (mut ids, mut titles) = (Vec::new(), Vec::new());
    for button in array(action, "buttons", "buttons", (1, 3))? {
        let button = item(button, "buttons[]")?;
        if button.get("type").and_then(Value::as_str) != Some("reply") {
            return Err(GraphError::value("Button type must be reply"));
        }
        let reply = object(button, "reply", "buttons[]['reply']")?;
        ids.push(text(reply, "id", "Button id", BUTTON_ID_MAX)?);
        titles.push(text(reply, "title", "Button title", BUTTON_TITLE_MAX)?);
    }
    distinct(&ids, "button id")?;
    distinct(&titles, "button title")
}

fn list(action: &Object) -> Checked {
    text(action, "button", "List button", BUTTON_TITLE_MAX)?;
    let sections = array(action, "sections", "sections", (1, MAX_SECTIONS))?;
    let (mut ids, mut rows_in_all) = (Vec::new(), 0);
    for section in sections {
        let section = item(section, "sections[]")?;
        section_title(section, sections.len())?;
        let rows = array(section, "rows", "rows", (1, MAX_ROWS))?;
        rows_in_all += rows.len();
        if rows_in_all > MAX_ROWS {
            let text = format!("Total row count exceed max allowed count: {MAX_ROWS}");
            return Err(GraphError::value(text));
        }
        for row in rows {
            let row = item(row, "rows[]")?;
            ids.push(text(row, "id", "Row id", ROW_ID_MAX)?);
            text(row, "title", "Row title", ROW_TITLE_MAX)?;
            optional_text(row, "description", "Row description", ROW_DESCRIPTION_MAX)?;
        }
    }
    distinct(&ids, "row id")
}

/// A section needs a title as soon as there is more than one.
fn section_title(section: &Object, sections: usize) -> Checked {
    let title = optional_text(section, "title", "Section title", SECTION_TITLE_MAX)?;
    if sections > 1 && title.is_none() {
        return Err(GraphError::missing("sections[]['title']"));
    }
    Ok(())
}

fn link(action: &Object) -> Checked {
    named(action, "cta_url")?;
    let parameters = parameters(action)?;
    text(parameters, "display_text", "parameters['display_text']", BUTTON_TITLE_MAX)?;
    let address = text(parameters, "url", "parameters['url']", 2_000)?;
    web_address(address, "parameters['url']")
}

fn flow(action: &Object) -> Checked {
    named(action, "flow")?;
    let parameters = parameters(action)?;
    if parameters.get("flow_message_version").and_then(Value::as_str) != Some("3") {
        return Err(GraphError::value("flow_message_version must be 3"));
    }
    if parameters.contains_key("flow_id") == parameters.contains_key("flow_name") {
        return Err(GraphError::value("Exactly one of flow_id and flow_name is needed"));
    }
    text(parameters, "flow_cta", "parameters['flow_cta']", 30)?;
    Ok(())
}

fn product(action: &Object) -> Checked {
    text(action, "catalog_id", "action['catalog_id']", 64)?;
    text(action, "product_retailer_id", "action['product_retailer_id']", 256)?;
    Ok(())
}

fn product_list(action: &Object) -> Checked {
    text(action, "catalog_id", "action['catalog_id']", 64)?;
    let sections = array(action, "sections", "sections", (1, MAX_SECTIONS))?;
    let mut products = 0;
    for section in sections {
        let section = item(section, "sections[]")?;
        section_title(section, sections.len())?;
        let items = array(section, "product_items", "product_items", (1, MAX_PRODUCTS))?;
        products += items.len();
        for product in items {
            let product = item(product, "product_items[]")?;
            text(product, "product_retailer_id", "product_retailer_id", 256)?;
        }
    }
    if products > MAX_PRODUCTS {
        return Err(GraphError::value(format!("At most {MAX_PRODUCTS} products are allowed")));
    }
    Ok(())
}

fn carousel(action: &Object, draft: &mut Draft) -> Checked {
    let mut header_kinds = Vec::new();
    for (index, card) in array(action, "cards", "cards", (2, 10))?.iter().enumerate() {
        let card = item(card, "cards[]")?;
        if card.get("card_index").and_then(Value::as_u64) != Some(index as u64) {
            return Err(GraphError::value(format!("card_index of card {index} must be {index}")));
        }
        let header = object(card, "header", "cards[]['header']")?;
        let kind = text(header, "type", "cards[]['header']['type']", 16)?;
        let media = match kind {
            "image" => MediaKind::Image,
            "video" => MediaKind::Video,
            _ => return Err(GraphError::value("Card header must be image or video")),
        };
        attachment(object(header, kind, "cards[]['header']")?, media, "cards[]['header']", draft)?;
        header_kinds.push(kind);
        object(card, "action", "cards[]['action']")?;
    }
    if header_kinds.windows(2).any(|pair| matches!(pair, [one, other] if one != other)) {
        return Err(GraphError::value("All cards must have the same header type"));
    }
    Ok(())
}
