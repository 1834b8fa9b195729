//! An offline WhatsApp: a Graph API emulator with scripted faults.
