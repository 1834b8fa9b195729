//! What a phone and its own companions tell each other.

use buffa::{Message, MessageField};
use waproto::whatsapp as wa;
use waproto::whatsapp::message::peer_data_operation_request_response_message::PeerDataOperationResult;
use waproto::whatsapp::message::peer_data_operation_request_response_message::peer_data_operation_result::PlaceholderMessageResendResponse;
use waproto::whatsapp::message::protocol_message::Type as ProtocolType;
use waproto::whatsapp::message::{
    AppStateSyncKey, AppStateSyncKeyData, AppStateSyncKeyFingerprint, AppStateSyncKeyId,
    AppStateSyncKeyShare, PeerDataOperationRequestMessage, PeerDataOperationRequestResponseMessage,
    PeerDataOperationRequestType, ProtocolMessage,
};

use super::Phone;
use super::contents::protocol_message;
use super::log::PhoneMessage;
use super::reading::Origin;
use crate::multi_device::address::{Addressing, Endpoint};
use crate::multi_device::error::Outcome;
use crate::multi_device::stanza::element;
use crate::multi_device::state::State;

/// Id of the one app-state key a phone has.
const KEY_ID: [u8; 6] = [0, 0, 0, 0, 0, 1];

impl Phone {
    /// Greets a companion that logs in for the first time. Clients wait some seconds for the key
    /// before they call themselves connected.
    pub(crate) fn welcome(&mut self, state: &mut State, device: u16) -> Outcome {
        if self.habits.shares_keys { self.share_app_state_key(state, device) } else { Ok(()) }
    }

    fn share_app_state_key(&mut self, state: &mut State, device: u16) -> Outcome {
        let account = state.account(&self.number)?;
        let fingerprint = AppStateSyncKeyFingerprint {
            raw_id: Some(account.raw_id),
            current_index: Some(0),
            device_indexes: account.devices().into_iter().map(u32::from).collect(),
        };
        let data = AppStateSyncKeyData {
            key_data: Some(self.app_state_key.to_vec()),
            fingerprint: MessageField::some(fingerprint),
            timestamp: Some(i64::try_from(state.clock.now_ms()).unwrap_or(i64::MAX)),
        };
        let id = AppStateSyncKeyId { key_id: Some(KEY_ID.to_vec()) };
        let key =
            AppStateSyncKey { key_id: MessageField::some(id), key_data: MessageField::some(data) };
        let share = AppStateSyncKeyShare { keys: vec![key] };
        let message = ProtocolMessage {
            r#type: Some(ProtocolType::APP_STATE_SYNC_KEY_SHARE),
            app_state_sync_key_share: MessageField::some(share),
            ..Default::default()
        };
        self.tell_companion(state, device, message)
    }

    /// Sends a protocol message to one companion.
    fn tell_companion(
        &mut self,
        state: &mut State,
        device: u16,
        message: ProtocolMessage,
    ) -> Outcome {
        let target = Endpoint::new(&self.number, device);
        let message = protocol_message(message);
        let entry = self.entry(state, &target, Addressing::Pn, &message)?;
        let to = state.user_jid(&self.number, Addressing::Pn)?;
        let stanza = element("message")
            .attr("id", state.message_id())
            .attr("to", to)
            .attr("type", "text")
            .attr("category", "peer")
            .children([element("participants").children([entry]).build()])
            .build();
        let _taken = state.route_message(&Endpoint::phone(&self.number), &stanza)?;
        Ok(())
    }

    /// Answers what a companion asks its phone.
    pub(super) fn answer_peer(
        &mut self,
        state: &mut State,
        origin: &Origin,
        message: &wa::Message,
    ) -> Outcome {
        let Some(asked) = message.protocol_message.as_option() else { return Ok(()) };
        if asked.app_state_sync_key_request.is_set() && self.habits.shares_keys {
            return self.share_app_state_key(state, origin.sender.device);
        }
        match asked.peer_data_operation_request_message.as_option() {
            Some(request) if self.habits.recovers => self.recover(state, origin, request),
            _ => Ok(()),
        }
    }

    /// Gives a companion the messages that it could not read, as far as the phone could.
    fn recover(
        &mut self,
        state: &mut State,
        origin: &Origin,
        request: &PeerDataOperationRequestMessage,
    ) -> Outcome {
        let results: Vec<PeerDataOperationResult> = request
            .placeholder_message_resend_request
            .iter()
            .filter_map(|asked| {
                let key = asked.message_key.as_option()?;
                let found = self.log.find(key.id.as_deref()?)?;
                Some(resent(key.clone(), found))
            })
            .collect();
        if results.is_empty() {
            return Ok(());
        }
        let response = PeerDataOperationRequestResponseMessage {
            peer_data_operation_request_type: Some(
                PeerDataOperationRequestType::PLACEHOLDER_MESSAGE_RESEND,
            ),
            stanza_id: Some(origin.id.clone()),
            peer_data_operation_result: results,
        };
        let message = ProtocolMessage {
            r#type: Some(ProtocolType::PEER_DATA_OPERATION_REQUEST_RESPONSE_MESSAGE),
            peer_data_operation_request_response_message: MessageField::some(response),
            ..Default::default()
        };
        self.tell_companion(state, origin.sender.device, message)
    }

    /// Moves the account to LIDs: from now on this phone names people by LID, and its companions are
    /// told the LIDs of those it writes with.
    pub(crate) fn migrate(&mut self, state: &mut State) -> Outcome {
        state.account_mut(&self.number)?.addressing = Addressing::Lid;
        let account = state.account(&self.number)?;
        let mappings = std::iter::once(account)
            .chain(account.correspondents.iter().filter_map(|number| state.account(number).ok()))
            .map(|account| wa::LIDMigrationMapping {
                pn: account.number.parse().unwrap_or_default(),
                assigned_lid: account.lid.parse().unwrap_or_default(),
                ..Default::default()
            })
            .collect();
        let payload = wa::LIDMigrationMappingSyncPayload {
            pn_to_lid_mappings: mappings,
            chat_db_migration_timestamp: Some(state.now()),
        };
        let sync = wa::LIDMigrationMappingSyncMessage {
            encoded_mapping_payload: Some(payload.encode_to_vec()),
        };
        let devices: Vec<u16> = account.companions.keys().copied().collect();
        for device in devices {
            let message = ProtocolMessage {
                r#type: Some(ProtocolType::LID_MIGRATION_MAPPING_SYNC),
                lid_migration_mapping_sync_message: MessageField::some(sync.clone()),
                ..Default::default()
            };
            self.tell_companion(state, device, message)?;
        }
        Ok(())
    }
}

fn resent(key: wa::MessageKey, found: &PhoneMessage) -> PeerDataOperationResult {
    let whole = wa::WebMessageInfo {
        key: MessageField::some(key),
        message: MessageField::some(found.message.clone()),
        message_timestamp: Some(found.at),
        ..Default::default()
    };
    let response =
        PlaceholderMessageResendResponse { web_message_info_bytes: Some(whole.encode_to_vec()) };
    PeerDataOperationResult {
        placeholder_message_resend_response: MessageField::some(response),
        ..Default::default()
    }
}
