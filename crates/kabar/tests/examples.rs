//! The examples do what they say.

#[path = "../../../examples/embed.rs"]
mod embed;
#[path = "../../../examples/own_channel.rs"]
mod own_channel;

#[test]
fn embed_runs() {
    embed::main().unwrap();
}

#[test]
fn own_channel_runs() {
    own_channel::main().unwrap();
}
