//! What a paired session can carry.

use kabar_channel::{Capabilities, ContentKind, Limits, RetrySafety};

/// The kinds that travel as they are. Buttons and lists are shown by some phones and by others
/// not, and the server refuses many of their forms (its codes 473 and 405): [`kabar_channel::fit()`]
/// makes numbered text of them. Templates are Meta's.
const KINDS: [ContentKind; 10] = [
    ContentKind::Text,
    ContentKind::Image,
    ContentKind::Video,
    ContentKind::Audio,
    ContentKind::Document,
    ContentKind::Sticker,
    ContentKind::Location,
    ContentKind::Contacts,
    ContentKind::Poll,
    ContentKind::Reaction,
];

/// WhatsApp Web's `MAX_TXT_MSG_SIZE`.
pub(crate) const TEXT: usize = 65_536;
/// WhatsApp Web's `MAX_CAPTION_LENGTH`.
const CAPTION: usize = 1_024;
/// WhatsApp's property `poll_option_count`.
const POLL_OPTIONS: usize = 12;
/// WhatsApp's property `poll_option_length`, characters.
pub(crate) const POLL_OPTION: usize = 100;
/// WhatsApp's property `poll_name_length`, characters.
pub(crate) const POLL_QUESTION: usize = 255;

/// What every paired session can carry, and how it behaves: a send that was not answered may be
/// repeated, for it carries the same id; there is no 24-hour window; one send is in flight at a time.
/// WhatsApp tells no pace for such a device, so none is stated here: the pacer keeps its own.
pub fn capabilities() -> Capabilities {
    Capabilities {
        kinds: KINDS.into_iter().collect(),
        limits: Limits {
            text: TEXT,
            caption: CAPTION,
            reply_buttons: 0,
            url_buttons: 0,
            call_buttons: 0,
            mixed_buttons: false,
            list_rows: 0,
            poll_options: POLL_OPTIONS,
            ..Limits::generous()
        },
        retry: RetrySafety::SameId,
        window: false,
        in_flight: 1,
        per_second: None,
        pair: None,
    }
}

#[cfg(test)]
mod tests {
    use kabar_channel::content::{Button, Buttons, Poll};
    use kabar_channel::{Content, Fallback, fit};

    use super::*;

    #[test]
    fn a_send_may_be_repeated_and_needs_no_window() {
        let device = capabilities();
        assert_eq!(device.retry, RetrySafety::SameId);
        assert!(!device.window);
        assert_eq!(device.in_flight, 1);
    }

    #[test]
    fn polls_travel_and_buttons_become_text() {
        let poll = Content::Poll(Poll {
            question: "Lunch?".into(),
            options: vec!["Soto".into(), "Rawon".into()],
            selectable: 2,
        });
        let fitted = fit(poll.clone(), &capabilities(), Fallback::Refuse).expect("a poll");
        assert_eq!(fitted.content, poll);

        let buttons = Content::Buttons(Buttons {
            header: None,
            body: "Well?".into(),
            footer: None,
            buttons: vec![Button::Reply { id: "y".into(), title: "Yes".into() }],
        });
        let fitted = fit(buttons, &capabilities(), Fallback::Downgrade).expect("a text");
        assert_eq!(fitted.content, Content::text("Well?\n\n1. Yes"));
    }

    #[test]
    fn a_text_may_be_as_long_as_whatsapp_webs() {
        let text = |length: usize| Content::text("a".repeat(length));
        assert!(fit(text(TEXT), &capabilities(), Fallback::Refuse).is_ok());
        assert!(fit(text(TEXT + 1), &capabilities(), Fallback::Refuse).is_err());
    }
}
