//! The reference server of Kabar: binary kabar.
