//! One message of every content that the Cloud API carries.

use kabar_channel::content::{
    Button, Buttons, ContactCard, List, ListRow, ListSection, Location, Media, Template,
};
use kabar_channel::{Content, MediaRef};
use serde_json::json;
use url::Url;

use crate::files::{self, AUDIO, DOCUMENT, IMAGE, STICKER, VIDEO};

/// Everything that is sent, with a name for each.
pub(crate) fn all() -> Result<Vec<(&'static str, Content)>, url::ParseError> {
    let mut contents = words();
    contents.extend(uploaded());
    contents.extend(linked()?);
    contents.extend(interactive()?);
    contents.extend(templates());
    Ok(contents)
}

fn words() -> Vec<(&'static str, Content)> {
    let text = Content::Text { body: "See https://example.com".to_owned(), preview_url: true };
    let place = |name: Option<&str>, address: Option<&str>| {
        Content::Location(Location {
            latitude: -6.1754,
            longitude: 106.8272,
            name: name.map(str::to_owned),
            address: address.map(str::to_owned),
        })
    };
    vec![
        ("text", Content::text("Hello")),
        ("text with preview", text),
        ("location", place(None, None)),
        ("location with name", place(Some("Monas"), Some("Gambir, Jakarta"))),
        ("contacts", Content::Contacts { cards: cards() }),
    ]
}

fn cards() -> Vec<ContactCard> {
    vec![
        ContactCard {
            name: "Budi Harto Santoso".to_owned(),
            phones: vec!["+62 812-3456-789".to_owned()],
            emails: vec!["budi@example.com".to_owned()],
            organisation: Some("PT Maju".to_owned()),
        },
        ContactCard {
            name: "Siti".to_owned(),
            phones: Vec::new(),
            emails: Vec::new(),
            organisation: None,
        },
    ]
}

fn stored(file: u128) -> Media {
    Media::new(MediaRef::Stored(files::id(file)))
}

fn captioned(media: Media) -> Media {
    Media { caption: Some("A caption".to_owned()), ..media }
}

fn uploaded() -> Vec<(&'static str, Content)> {
    let named = Media { filename: Some("bill.pdf".to_owned()), ..captioned(stored(DOCUMENT)) };
    let voice = Media { voice: true, ..stored(AUDIO) };
    vec![
        ("image", Content::Image(captioned(stored(IMAGE)))),
        ("video", Content::Video(stored(VIDEO))),
        ("audio", Content::Audio(stored(AUDIO))),
        ("voice note", Content::Audio(voice)),
        ("document", Content::Document(named)),
        ("sticker", Content::Sticker(stored(STICKER))),
    ]
}

fn linked() -> Result<Vec<(&'static str, Content)>, url::ParseError> {
    let page = Url::parse("https://example.com/file")?;
    let link = || Media::new(MediaRef::Link(page.clone()));
    Ok(vec![
        ("image by link", Content::Image(link())),
        ("video by link", Content::Video(captioned(link()))),
        ("audio by link", Content::Audio(link())),
        ("document by link", Content::Document(link())),
        ("sticker by link", Content::Sticker(link())),
    ])
}

fn interactive() -> Result<Vec<(&'static str, Content)>, url::ParseError> {
    let reply =
        |id: &str, title: &str| Button::Reply { id: id.to_owned(), title: title.to_owned() };
    let page =
        Button::Url { title: "Open".to_owned(), url: Url::parse("https://example.com/?a=b")? };
    let framed = |buttons| {
        Content::Buttons(Buttons {
            header: Some("Header".to_owned()),
            body: "Body".to_owned(),
            footer: Some("Footer".to_owned()),
            buttons,
        })
    };
    let plain = Content::Buttons(Buttons {
        header: None,
        body: "Sure?".to_owned(),
        footer: None,
        buttons: vec![reply("y", "Yes")],
    });
    Ok(vec![
        ("buttons", framed(vec![reply("y", "Yes"), reply("n", "No"), reply("m", "Maybe")])),
        ("one button", plain),
        ("page button", framed(vec![page])),
        ("list", Content::List(menu())),
    ])
}

fn menu() -> List {
    let row = |id: &str, description: Option<&str>| ListRow {
        id: id.to_owned(),
        title: format!("Row {id}"),
        description: description.map(str::to_owned),
    };
    let section = |title: &str, rows| ListSection { title: Some(title.to_owned()), rows };
    List {
        header: Some("Menu".to_owned()),
        body: "Choose".to_owned(),
        footer: Some("Until ten".to_owned()),
        button: "Open".to_owned(),
        sections: vec![
            section("Soup", vec![row("1", Some("hot")), row("2", None)]),
            section("Rice", vec![row("3", None)]),
        ],
    }
}

fn templates() -> Vec<(&'static str, Content)> {
    let template = |name: &str, components| {
        Content::Template(Template {
            name: name.to_owned(),
            language: "en_US".to_owned(),
            components,
        })
    };
    let text = |text: &str| json!({ "type": "text", "text": text });
    let body = json!({ "type": "body", "parameters": [text("Jessica"), text("42")] });
    vec![
        ("template", template("hello_world", Vec::new())),
        ("template with parameters", template("order_confirmation", vec![body])),
    ]
}
