//! The shelves of a paired session.

use kabar_channel::vault::Shelf;

/// The engine's device: keys of the account, registration, counters. One item.
pub const DEVICE: Shelf = Shelf::new("device");
/// What is known of the session itself: where it came from.
pub const ABOUT: Shelf = Shelf::new("about");
/// The code that pairs the device, while there is one. One item.
pub const PAIRING: Shelf = Shelf::new("pairing");
/// Identity keys of others, by address.
pub const IDENTITIES: Shelf = Shelf::new("identities");
/// Signal sessions with others, by address.
pub const SESSIONS: Shelf = Shelf::new("sessions");
/// One-time keys that others begin sessions with, by number; marked 1 once the server has them.
pub const PREKEYS: Shelf = Shelf::new("prekeys");
/// Signed keys of the same kind, by number.
pub const SIGNED_PREKEYS: Shelf = Shelf::new("signed_prekeys");
/// Keys of groups, by group and sender.
pub const SENDER_KEYS: Shelf = Shelf::new("sender_keys");
/// Keys of what phone and companions share, by id.
pub const SYNC_KEYS: Shelf = Shelf::new("sync_keys");
/// The id of the newest of them. One item.
pub const LATEST_SYNC_KEY: Shelf = Shelf::new("latest_sync_key");
/// How far each shared collection was read, by its name.
pub const VERSIONS: Shelf = Shelf::new("versions");
/// The last value of each entry of a shared collection, as its MAC, by collection and entry.
pub const MUTATION_MACS: Shelf = Shelf::new("mutation_macs");
/// Which devices have our key of a group, by group and device; tagged with the device, marked 1 for
/// those that have it.
pub const SENDER_KEY_DEVICES: Shelf = Shelf::new("sender_key_devices");
/// Linked ids and their numbers, by linked id.
pub const LINKED_IDS: Shelf = Shelf::new("linked_ids");
/// The linked id that was last learnt for a number, by number. It counts only while the linked id
/// still says the same number.
pub const NUMBERS: Shelf = Shelf::new("numbers");
/// Base keys of sessions that were asked for again, by address and message.
pub const BASE_KEYS: Shelf = Shelf::new("base_keys");
/// The devices of people, by person.
pub const DEVICE_LISTS: Shelf = Shelf::new("device_lists");
/// What is known of groups, by group.
pub const GROUPS: Shelf = Shelf::new("groups");
/// Trusted-contact tokens, by person.
pub const TC_TOKENS: Shelf = Shelf::new("tc_tokens");
/// Messages sent, in case they are asked for again, by chat and id; due when they were sent (seconds
/// since 1970).
pub const SENT_MESSAGES: Shelf = Shelf::new("sent_messages");
/// Messages of ours that others could not read and want again, by chat, device and id; marked with the
/// token of the session that the wish came to.
pub const WANTED: Shelf = Shelf::new("wanted");
/// Messages received that are not committed yet, by chat, sender and id; due when they came.
pub const PENDING_INBOUND: Shelf = Shelf::new("pending_inbound");
/// Secrets of messages, for votes, reactions and edits, by chat, sender and id; due when they are of
/// no more use, marked with the time of the message.
pub const MSG_SECRETS: Shelf = Shelf::new("msg_secrets");

/// Secrets and options of polls of ours, by their id on the wire.
pub const POLLS: Shelf = Shelf::new("polls");
/// What a session file carries under `shelves`: all but the device, its one-time keys, and what is
/// known of the session itself and of its pairing.
pub const CARRIED: &[Shelf] = &[
    IDENTITIES,
    SESSIONS,
    SIGNED_PREKEYS,
    SENDER_KEYS,
    SYNC_KEYS,
    LATEST_SYNC_KEY,
    VERSIONS,
    MUTATION_MACS,
    SENDER_KEY_DEVICES,
    LINKED_IDS,
    NUMBERS,
    BASE_KEYS,
    DEVICE_LISTS,
    GROUPS,
    TC_TOKENS,
    SENT_MESSAGES,
    PENDING_INBOUND,
    MSG_SECRETS,
    POLLS,
];
