//! What a session must have to be one.

use std::collections::BTreeSet;

use wacore::libsignal::store::record_helpers::prekey_structure_to_record;
use wacore::store::Device;
use waproto::buffa::Message as _;
use waproto::whatsapp::PreKeyRecordStructure;

use super::ImportError;
use super::file::FilePrekey;

/// Numbers of one-time keys have three bytes on the wire.
const LAST_PREKEY: u32 = 0xff_ffff;

/// It is paired: it has a number, and the account's signature over its identity.
pub(super) fn device(device: &Device) -> Result<(), ImportError> {
    if device.pn.is_none() {
        return Err(ImportError::field("device.pn", "is missing: the device was never paired"));
    }
    if device.account.is_none() {
        let problem = "is missing: nobody would believe that the device belongs to the account";
        return Err(ImportError::field("device.account", problem));
    }
    let signed = device.identity_key.public_key.verify_signature(
        &device.signed_pre_key.public_key.serialize(),
        &device.signed_pre_key_signature,
    );
    if !signed {
        let problem = "is not that of the identity key over the signed key";
        return Err(ImportError::field("device.signed_pre_key_signature", problem));
    }
    Ok(())
}

/// Each is a key under its own number.
pub(super) fn prekeys(prekeys: &[FilePrekey]) -> Result<(), ImportError> {
    let mut seen = BTreeSet::new();
    for (place, prekey) in prekeys.iter().enumerate() {
        if prekey.id == 0 || prekey.id > LAST_PREKEY {
            let problem = format!("must be 1 to {LAST_PREKEY}");
            return Err(ImportError::field(format!("prekeys[{place}].id"), problem));
        }
        if !seen.insert(prekey.id) {
            return Err(ImportError::field(format!("prekeys[{place}].id"), "is there twice"));
        }
        record(place, prekey)?;
    }
    Ok(())
}

fn record(place: usize, prekey: &FilePrekey) -> Result<(), ImportError> {
    let field = || format!("prekeys[{place}].record");
    let bytes = prekey.bytes(place)?;
    let structure = PreKeyRecordStructure::decode_from_slice(&bytes)
        .map_err(|error| ImportError::field(field(), error))?;
    if structure.id != Some(prekey.id) {
        return Err(ImportError::field(field(), "is the record of another number"));
    }
    prekey_structure_to_record(structure)
        .map(|_| ())
        .map_err(|error| ImportError::field(field(), error))
}
