//! The body of a send, for each content.

use kabar_channel::content::{
    Button, Buttons, ContactCard, List, ListRow, ListSection, Location, Media, Poll, Template,
};
use kabar_channel::{
    Channel as _, Content, ContentKind, Fallback, MediaRef, MessageKey, Outgoing, Recipient,
    RetrySafety, SendError, fit,
};
use serde_json::json;

use crate::support::{cloud, device, no_files, outgoing};

async fn prepare(message: &Outgoing) -> Result<serde_json::Value, SendError> {
    let cloud = cloud("http://127.0.0.1:9", no_files());
    let prepared = cloud.prepare(&device(), message).await?;
    Ok(prepared.json().clone())
}

fn link(filename: Option<&str>, caption: Option<&str>, voice: bool) -> Media {
    Media {
        caption: caption.map(str::to_owned),
        filename: filename.map(str::to_owned),
        voice,
        ..Media::new(MediaRef::Link("https://example.com/file".parse().unwrap()))
    }
}

fn reply(id: &str, title: &str) -> Button {
    Button::Reply { id: id.into(), title: title.into() }
}

fn url_button() -> Button {
    Button::Url { title: "Open".into(), url: "https://example.com/?a=b c".parse().unwrap() }
}

fn buttons(buttons: Vec<Button>) -> Content {
    Content::Buttons(Buttons {
        header: Some("Header".into()),
        body: "Body".into(),
        footer: Some("Footer".into()),
        buttons,
    })
}

fn contents() -> Vec<(&'static str, Content)> {
    let row = |id: &str, description: Option<&str>| ListRow {
        id: id.into(),
        title: format!("Row {id}"),
        description: description.map(str::to_owned),
    };
    vec![
        ("text", Content::Text { body: "See https://example.com".into(), preview_url: true }),
        ("image", Content::Image(link(None, Some("A caption"), false))),
        ("video", Content::Video(link(Some("x.mp4"), Some("A caption"), false))),
        ("audio", Content::Audio(link(None, None, false))),
        ("voice", Content::Audio(link(None, None, true))),
        ("document", Content::Document(link(Some("bill.pdf"), Some("Bill"), false))),
        ("sticker", Content::Sticker(link(None, None, false))),
        (
            "location",
            Content::Location(Location {
                latitude: -6.2,
                longitude: 106.8,
                name: Some("Monas".into()),
                address: None,
            }),
        ),
        (
            "contacts",
            Content::Contacts {
                cards: vec![
                    ContactCard {
                        name: "Budi Harto Santoso".into(),
                        phones: vec!["+62 812-3456-789".into(), "call me".into()],
                        emails: vec!["budi@example.com".into()],
                        organisation: Some("PT Maju".into()),
                    },
                    ContactCard {
                        name: "Siti".into(),
                        phones: Vec::new(),
                        emails: Vec::new(),
                        organisation: None,
                    },
                ],
            },
        ),
        ("buttons", buttons(vec![reply("y", "Yes"), reply("n", "No")])),
        ("cta_url", buttons(vec![url_button()])),
        (
            "list",
            Content::List(List {
                header: Some("Menu".into()),
                body: "Choose".into(),
                footer: None,
                button: "Open".into(),
                sections: vec![
                    ListSection {
                        title: Some("Soup".into()),
                        rows: vec![row("1", Some("hot")), row("2", None)],
                    },
                    ListSection { title: Some("Rice".into()), rows: vec![row("3", None)] },
                ],
            }),
        ),
        (
            "template",
            Content::Template(Template {
                name: "order_confirmation".into(),
                language: "en_US".into(),
                components: vec![json!({
                    "type": "body",
                    "parameters": [{ "type": "text", "parameter_name": "name", "text": "Jessica" }],
                })],
            }),
        ),
        (
            "template_plain",
            Content::Template(Template {
                name: "hello_world".into(),
                language: "en_US".into(),
                components: Vec::new(),
            }),
        ),
    ]
}

#[tokio::test]
async fn each_content_has_its_request() {
    for (name, content) in contents() {
        let request = prepare(&outgoing(content)).await.unwrap();
        insta::assert_json_snapshot!(format!("request_{name}"), request);
    }
}

#[tokio::test]
async fn a_quoted_reply_names_its_message_and_a_reaction_its_target() {
    let mut message = outgoing(Content::text("yes"));
    message.reply_to = Some(MessageKey::id("wamid.Q"));
    let request = prepare(&message).await.unwrap();
    assert_eq!(request["context"], json!({ "message_id": "wamid.Q" }));

    for emoji in ["👍", ""] {
        message.content = Content::Reaction { emoji: emoji.into() };
        let request = prepare(&message).await.unwrap();
        let wanted = json!({ "message_id": "wamid.Q", "emoji": emoji });
        assert_eq!(request["reaction"], wanted);
        assert_eq!(request.get("context"), None);
    }

    message.reply_to = None;
    let refused = prepare(&message).await.unwrap_err();
    assert_eq!(refused.reason().code, "reaction_target");
}

#[tokio::test]
async fn the_recipient_is_a_number_a_scoped_id_or_a_group() {
    let phone = outgoing(Content::text("x")).to;
    let bsuid = Recipient { bsuid: Some("US.1349".into()), ..Recipient::default() };
    let both = Recipient { bsuid: Some("US.1349".into()), ..phone.clone() };
    let group = Recipient { group: Some("Y2FwaV9ncm91cA".into()), ..Recipient::default() };
    for (to, kind, key, address) in [
        (phone, "individual", "to", "+628123456789"),
        (both, "individual", "to", "+628123456789"),
        (bsuid, "individual", "recipient", "US.1349"),
        (group, "group", "to", "Y2FwaV9ncm91cA"),
    ] {
        let mut message = outgoing(Content::text("x"));
        message.to = to;
        let request = prepare(&message).await.unwrap();
        assert_eq!(request["recipient_type"], kind);
        assert_eq!(request[key], address);
        let other = if key == "to" { "recipient" } else { "to" };
        assert_eq!(request.get(other), None, "{kind}");
    }
    let mut message = outgoing(Content::text("x"));
    message.to = Recipient { lid: Some("1@lid".into()), ..Recipient::default() };
    let refused = prepare(&message).await.unwrap_err();
    assert_eq!(refused.reason().code, "recipient");
}

#[tokio::test]
async fn what_cannot_be_carried_is_refused() {
    let call = Button::Call { title: "Call".into(), phone: "+628123456789".into() };
    for content in [
        Content::Poll(Poll {
            question: "?".into(),
            options: vec!["a".into(), "b".into()],
            selectable: 1,
        }),
        buttons(vec![reply("y", "Yes"), url_button()]),
        buttons(vec![url_button(), url_button()]),
        buttons(vec![call]),
        Content::Audio(link(None, Some("words"), true)),
        Content::Sticker(link(None, Some("words"), false)),
    ] {
        let error = prepare(&outgoing(content)).await.unwrap_err();
        assert!(matches!(error, SendError::Refused { .. }), "{error}");
    }
}

/// What `fit` lets through is carried, what `prepare` refuses is downgraded before.
#[tokio::test]
async fn capabilities_agree_with_what_is_carried() {
    let cloud = cloud("http://127.0.0.1:9", no_files());
    let capabilities = cloud.capabilities(&device());
    assert!(!capabilities.carries(ContentKind::Poll));
    assert!(capabilities.window);
    assert_eq!(capabilities.retry, RetrySafety::Never);
    for (name, content) in contents() {
        let fitted = fit(content.clone(), &capabilities, Fallback::Refuse).unwrap();
        assert_eq!(fitted.content, content, "{name}");
    }
    let mixed = buttons(vec![reply("y", "Yes"), url_button()]);
    let fitted = fit(mixed, &capabilities, Fallback::Downgrade).unwrap();
    assert_eq!(fitted.downgraded_from, Some(ContentKind::Buttons));
}
