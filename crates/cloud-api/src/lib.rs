//! Meta's WhatsApp Cloud API as a Kabar channel: Graph client, webhook verification and decoding.
