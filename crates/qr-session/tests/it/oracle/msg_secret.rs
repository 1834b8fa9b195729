//! Secrets of messages.

use wacore::store::traits::{MsgSecretEntry, MsgSecretStore as _};

use super::{Both, Dice, same};

pub(super) const METHODS: &[&str] = &[
    "put_msg_secret",
    "put_msg_secrets",
    "get_msg_secret",
    "get_msg_secret_with_ts",
    "delete_expired_msg_secrets",
];

fn entry(dice: &mut Dice) -> MsgSecretEntry {
    MsgSecretEntry {
        chat: dice.jid().into(),
        sender: dice.word().into(),
        msg_id: dice.word().into(),
        secret: dice.array(),
        expires_at: dice.time(),
        message_ts: dice.time(),
    }
}

pub(super) async fn call(both: &Both, method: &str, dice: &mut Dice) -> bool {
    let (chat, sender, id) = (dice.jid(), dice.word(), dice.word());
    match method {
        "put_msg_secret" => {
            let secret = dice.array();
            same!(both, |store| store.put_msg_secret(chat, sender, id, &secret));
        }
        "put_msg_secrets" => {
            let entries = dice.some(entry);
            same!(both, |store| store.put_msg_secrets(entries.clone()));
        }
        "get_msg_secret" => same!(both, |store| store.get_msg_secret(chat, sender, id)),
        "get_msg_secret_with_ts" => {
            same!(both, |store| store.get_msg_secret_with_ts(chat, sender, id));
        }
        "delete_expired_msg_secrets" => {
            let cutoff = dice.time();
            same!(both, |store| store.delete_expired_msg_secrets(cutoff));
        }
        _ => return false,
    }
    true
}
