//! Contents that are no files.

use kabar_channel::SendError;
use kabar_channel::content::{ContactCard, Location, Poll};
use kabar_core::Timestamp;
use waproto::buffa::MessageField;
use waproto::whatsapp as wa;
use waproto::whatsapp::message::poll_creation_message::Option as PollOption;
use waproto::whatsapp::message::{
    ContactMessage, ContactsArrayMessage, ExtendedTextMessage, LocationMessage, PollContentType,
    PollCreationMessage, ReactionMessage,
};

use super::quoted::Quoted;
use super::ready::SECRET;
use crate::capabilities::{POLL_OPTION, POLL_QUESTION};
use crate::vcard;

type Context = MessageField<wa::ContextInfo>;

/// Bare words, or words with an answer's context or a preview around them. Whoever wants a page's title
/// and picture in the preview has to fetch the page, and that is not done here: the phones show the
/// address alone.
pub(super) fn text(body: &str, preview: bool, context: Context) -> wa::Message {
    let address = preview.then(|| first_address(body)).flatten();
    if address.is_none() && context.is_unset() {
        return wa::Message { conversation: Some(body.to_owned()), ..wa::Message::default() };
    }
    let extended = ExtendedTextMessage {
        text: Some(body.to_owned()),
        matched_text: address.map(str::to_owned),
        context_info: context,
        ..ExtendedTextMessage::default()
    };
    wa::Message { extended_text_message: MessageField::some(extended), ..wa::Message::default() }
}

/// The first address of a page in a text, without the punctuation of the sentence around it.
fn first_address(text: &str) -> Option<&str> {
    let is_address = |word: &&str| {
        let schemes = ["https://", "http://"];
        schemes.iter().any(|scheme| word.strip_prefix(scheme).is_some_and(|rest| !rest.is_empty()))
    };
    let words = text.split_whitespace();
    let trimmed = words.map(|word| {
        let word = word.trim_start_matches(['(', '<', '"', '\'', '[']);
        word.trim_end_matches(['.', ',', ';', ':', '!', '?', ')', '>', '"', '\'', ']'])
    });
    trimmed.into_iter().find(is_address)
}

pub(super) fn location(place: &Location, context: Context) -> wa::Message {
    let location = LocationMessage {
        degrees_latitude: Some(place.latitude),
        degrees_longitude: Some(place.longitude),
        name: place.name.clone(),
        address: place.address.clone(),
        context_info: context,
        ..LocationMessage::default()
    };
    wa::Message { location_message: MessageField::some(location), ..wa::Message::default() }
}

pub(super) fn contacts(cards: &[ContactCard], context: Context) -> Result<wa::Message, SendError> {
    let contact = |card: &ContactCard, context: Context| ContactMessage {
        display_name: Some(card.name.clone()),
        vcard: Some(vcard::write(card)),
        context_info: context,
        ..ContactMessage::default()
    };
    match cards {
        [] => Err(SendError::refused("cards", "there is no card")),
        [card] => Ok(wa::Message {
            contact_message: MessageField::some(contact(card, context)),
            ..wa::Message::default()
        }),
        cards => {
            let array = ContactsArrayMessage {
                display_name: Some(format!("{} contacts", cards.len())),
                contacts: cards.iter().map(|card| contact(card, Context::none())).collect(),
                context_info: context,
            };
            let contacts_array_message = MessageField::some(array);
            Ok(wa::Message { contacts_array_message, ..wa::Message::default() })
        }
    }
}

/// WhatsApp Web asks for one answer in version 3 and for several in version 1.
pub(super) fn poll(
    poll: &Poll,
    secret: Option<&[u8]>,
    context: Context,
) -> Result<wa::Message, SendError> {
    within(poll)?;
    let secret = secret.filter(|secret| secret.len() == SECRET).ok_or_else(|| {
        SendError::refused("poll_secret", "the poll was made ready without its secret")
    })?;
    let option =
        |name: &String| PollOption { option_name: Some(name.clone()), ..PollOption::default() };
    let creation = MessageField::some(PollCreationMessage {
        name: Some(poll.question.clone()),
        options: poll.options.iter().map(option).collect(),
        selectable_options_count: Some(poll.selectable.into()),
        poll_content_type: Some(PollContentType::TEXT),
        context_info: context,
        ..PollCreationMessage::default()
    });
    let mut message = wa::Message {
        message_context_info: MessageField::some(wa::MessageContextInfo {
            message_secret: Some(secret.to_vec()),
            ..wa::MessageContextInfo::default()
        }),
        ..wa::Message::default()
    };
    if poll.selectable == 1 {
        message.poll_creation_message_v3 = creation;
    } else {
        message.poll_creation_message = creation;
    }
    Ok(message)
}

/// What WhatsApp's apps would not let anybody type, phones need not show.
fn within(poll: &Poll) -> Result<(), SendError> {
    let longer = |text: &str, most: usize| text.chars().count() > most;
    if longer(&poll.question, POLL_QUESTION) {
        let problem = format!("a poll's question has at most {POLL_QUESTION} characters");
        return Err(SendError::refused("poll_question", problem));
    }
    if poll.options.iter().any(|option| longer(option, POLL_OPTION)) {
        let problem = format!("a poll's option has at most {POLL_OPTION} characters");
        return Err(SendError::refused("poll_option", problem));
    }
    Ok(())
}

/// An empty emoji takes the reaction back.
pub(super) fn reaction(
    emoji: &str,
    target: Option<&Quoted>,
    at: Timestamp,
) -> Result<wa::Message, SendError> {
    let target = target.ok_or_else(|| {
        SendError::refused("reaction_target", "a reaction needs the message it is for")
    })?;
    let reaction = ReactionMessage {
        key: MessageField::some(target.key()?),
        text: Some(emoji.to_owned()),
        sender_timestamp_ms: Some(at.timestamp_millis()),
        ..ReactionMessage::default()
    };
    Ok(wa::Message { reaction_message: MessageField::some(reaction), ..wa::Message::default() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_address_of_a_text_is_found() {
        for (text, wanted) in [
            ("See https://example.com/a?b=c, and http://b.c.", Some("https://example.com/a?b=c")),
            ("(https://example.com)", Some("https://example.com")),
            ("https:// and example.com", None),
            ("", None),
        ] {
            assert_eq!(first_address(text), wanted, "{text}");
        }
    }
}
