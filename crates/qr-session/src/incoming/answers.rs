//! What people choose and fill in: buttons, lists, forms, carts.

use kabar_channel::IncomingContent;
use serde_json::{Value, json};
use waproto::whatsapp as wa;
use waproto::whatsapp::message::buttons_response_message::Response;
use waproto::whatsapp::message::interactive_response_message::InteractiveResponseMessage as Answer;
use waproto::whatsapp::message::interactive_response_message::NativeFlowResponseMessage;

use super::read;

/// WhatsApp's word for a form of Meta's making, and the Cloud API's.
const FORM: [&str; 2] = ["galaxy_message", "flow"];

/// A tap, a filled form or a cart.
pub(super) fn answer(message: &wa::Message) -> Option<IncomingContent> {
    button(message)
        .or_else(|| line(message))
        .or_else(|| quick_reply(message))
        .or_else(|| interactive(message))
        .or_else(|| order(message))
}

/// Of id and title one may be missing and is then the other.
fn choice(id: Option<&str>, title: Option<&str>, more: Option<&str>) -> Option<IncomingContent> {
    let (id, title) = (read::name(id), read::name(title));
    let title = title.or_else(|| id.clone())?;
    Some(IncomingContent::Choice {
        id: id.unwrap_or_else(|| title.clone()),
        title,
        description: read::name(more),
    })
}

fn button(message: &wa::Message) -> Option<IncomingContent> {
    let tap = message.buttons_response_message.as_option()?;
    let title = tap.response.as_ref().map(|response| match response {
        Response::SelectedDisplayText(text) => text.as_str(),
    });
    choice(tap.selected_button_id.as_deref(), title, None)
}

fn line(message: &wa::Message) -> Option<IncomingContent> {
    let tap = message.list_response_message.as_option()?;
    let reply = tap.single_select_reply.as_option();
    let id = reply.and_then(|reply| reply.selected_row_id.as_deref());
    choice(id, tap.title.as_deref(), tap.description.as_deref())
}

fn quick_reply(message: &wa::Message) -> Option<IncomingContent> {
    let tap = message.template_button_reply_message.as_option()?;
    choice(tap.selected_id.as_deref(), tap.selected_display_text.as_deref(), None)
}

/// Newer buttons and lists answer with JSON; with an `id` it is a tap, else a form.
fn interactive(message: &wa::Message) -> Option<IncomingContent> {
    let answer = message.interactive_response_message.as_option()?;
    let shown = answer.body.as_option().and_then(|body| body.text.as_deref());
    let flow = answer.interactive_response_message.as_ref().map(|answer| match answer {
        Answer::NativeFlowResponseMessage(flow) => flow,
    });
    match flow {
        Some(flow) => flow_answer(flow, shown),
        None => choice(None, shown, None),
    }
}

fn flow_answer(flow: &NativeFlowResponseMessage, shown: Option<&str>) -> Option<IncomingContent> {
    let answers = read::json(flow.params_json.as_deref().unwrap_or_default());
    let text = |key: &str| answers.get(key).and_then(Value::as_str);
    if let Some(id) = text("id") {
        let title = shown.or(text("title")).or(text("display_text"));
        return choice(Some(id), title, text("description"));
    }
    let [theirs, form] = FORM;
    let name = read::name(flow.name.as_deref()).filter(|name| name != theirs);
    Some(IncomingContent::Form { name: name.unwrap_or_else(|| form.to_owned()), answers })
}

fn order(message: &wa::Message) -> Option<IncomingContent> {
    let order = message.order_message.as_option()?;
    Some(IncomingContent::Order {
        order: json!({
            "order_id": read::name(order.order_id.as_deref()),
            "token": read::name(order.token.as_deref()),
            "title": read::name(order.order_title.as_deref()),
            "text": read::words(order.message.as_deref()),
            "item_count": order.item_count,
            "total_amount_1000": order.total_amount1000,
            "currency": read::name(order.total_currency_code.as_deref()),
        }),
    })
}
