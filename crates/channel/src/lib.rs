//! The channel port of Kabar: content model, capabilities, delivery outcomes, inbound events.
