//! A tenant's WhatsApp numbers and Meta apps in Kabar.
