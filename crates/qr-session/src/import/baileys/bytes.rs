//! Bytes and keys as Node writes them.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer};
use wacore::libsignal::protocol::{KeyPair, PrivateKey, PublicKey};

use crate::import::ImportError;

/// Bytes: a Base64 text, or a `Buffer` of such a text or of numbers.
pub(super) struct NodeBytes(pub(super) Vec<u8>);

#[derive(Deserialize)]
#[serde(untagged)]
enum Form {
    Text(String),
    Buffer { data: Data },
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Data {
    Text(String),
    Numbers(Vec<u8>),
}

impl<'de> Deserialize<'de> for NodeBytes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // What stands there is a secret: no error may repeat it.
        let form = Form::deserialize(deserializer);
        let text = match form.map_err(|_| D::Error::custom("must be bytes"))? {
            Form::Buffer { data: Data::Numbers(bytes) } => return Ok(Self(bytes)),
            Form::Buffer { data: Data::Text(text) } | Form::Text(text) => text,
        };
        let bytes = STANDARD.decode(text);
        bytes.map(Self).map_err(|_| D::Error::custom("must be bytes in base64"))
    }
}

/// A key pair: 32 bytes each.
#[derive(Deserialize)]
pub(super) struct Keys {
    public: NodeBytes,
    private: NodeBytes,
}

impl Keys {
    /// The pair, if one fits the other.
    pub(super) fn pair(&self, field: &str) -> Result<KeyPair, ImportError> {
        let wrong =
            |part: &str, problem: String| ImportError::field(format!("{field}.{part}"), problem);
        let private = PrivateKey::deserialize(&self.private.0)
            .map_err(|error| wrong("private", error.to_string()))?;
        let public = PublicKey::from_stored_public_key_bytes(&self.public.0)
            .map_err(|error| wrong("public", error.to_string()))?;
        let own = private.public_key().map_err(|error| wrong("private", error.to_string()))?;
        if own.public_key_bytes() != public.public_key_bytes() {
            return Err(wrong("public", "is not that of the private key".to_owned()));
        }
        Ok(KeyPair::new(public, private))
    }
}
