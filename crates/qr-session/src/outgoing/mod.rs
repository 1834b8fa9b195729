//! What we send: Kabar's content into WhatsApp's protobuf.

mod media;
mod parts;
mod quoted;
mod ready;

#[cfg(test)]
mod tests;

use kabar_channel::{Content, Outgoing, SendError};
use waproto::whatsapp as wa;

pub(crate) use self::quoted::Quoted;
pub(crate) use self::ready::{Ready, SECRET, UploadedMedia};

use crate::address::Own;

/// The message as WhatsApp carries it. `ready` is what was prepared; `quoted` is what it answers, with
/// our own addresses and the words, where the caller knows them: without it the answer names no more than
/// [`Outgoing::reply_to`] tells.
///
/// # Errors
/// [`SendError::Refused`] when a part is missing, or when this channel has no such content.
pub(crate) fn message(
    outgoing: &Outgoing,
    ready: &Ready,
    quoted: Option<&Quoted>,
) -> Result<wa::Message, SendError> {
    let told = match quoted {
        Some(_) => None,
        None => Quoted::of(outgoing, &Own::default())?,
    };
    let quoted = quoted.or(told.as_ref());
    let context = quoted::context(quoted);
    let file = || {
        let missing = || SendError::refused("media", "the file was not uploaded");
        ready.uploaded.as_ref().ok_or_else(missing)
    };
    Ok(match &outgoing.content {
        Content::Text { body, preview_url } => parts::text(body, *preview_url, context),
        Content::Image(media) => media::image(media, file()?, context),
        Content::Video(media) => media::video(media, file()?, context),
        Content::Audio(media) => media::audio(media, file()?, context)?,
        Content::Document(media) => media::document(media, file()?, context),
        Content::Sticker(media) => media::sticker(media, file()?, context)?,
        Content::Location(place) => parts::location(place, context),
        Content::Contacts { cards } => parts::contacts(cards, context)?,
        Content::Poll(poll) => parts::poll(poll, ready.secret.as_deref(), context)?,
        Content::Reaction { emoji } => parts::reaction(emoji, quoted, ready.at)?,
        other => {
            let problem = format!("a paired session cannot carry `{}`", other.kind());
            return Err(SendError::refused("content", problem));
        }
    })
}
