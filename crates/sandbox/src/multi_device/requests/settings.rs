//! Answers that are the same for everybody, or nearly.

use wacore::iq::abprops::web::LID_ONE_ON_ONE_MIGRATION_ENABLED;
use wacore_binary::Node;

use super::super::address::Addressing;
use super::super::stanza::{attr_or_empty, child, children, element, result};

/// Everything is open to everybody.
const PRIVACY: [&str; 7] =
    ["readreceipts", "profile", "status", "online", "last", "groupadd", "calladd"];

/// How long a media connection holds, in seconds.
const MEDIA_TTL: &str = "300";

pub(super) fn privacy(request: &Node) -> Node {
    let category = |name| element("category").attr("name", name).attr("value", "all").build();
    let privacy = element("privacy").children(PRIVACY.map(category)).build();
    result(request).children([privacy]).build()
}

/// With the one experiment that matters here: whether the account's chats have moved to LIDs.
pub(super) fn experiments(request: &Node, addressing: Addressing) -> Node {
    let moved = (addressing == Addressing::Lid).then(|| {
        let code = LID_ONE_ON_ONE_MIGRATION_ENABLED.code;
        element("prop").attr("config_code", code.to_string()).attr("config_value", "1").build()
    });
    let props = element("props")
        .attr("protocol", "1")
        .attr("ab_key", "sandbox")
        .attr("hash", "sandbox")
        .attr("refresh", "86400")
        .attr("refresh_id", "1")
        .children(moved)
        .build();
    result(request).children([props]).build()
}

pub(super) fn properties(request: &Node) -> Node {
    let props = element("props").attr("version", "1").attr("hash", "sandbox").build();
    result(request).children([props]).build()
}

pub(super) fn media_servers(request: &Node, host: &str) -> Node {
    let host = element("host").attr("hostname", host).attr("type", "primary").build();
    let servers = element("media_conn")
        .attr("auth", "sandbox")
        .attr("auth_ttl", "3600")
        .attr("ttl", MEDIA_TTL)
        .attr("max_buckets", "12")
        .attr("max_manual_retry", "3")
        .attr("max_auto_download_retry", "3")
        .children([host])
        .build();
    result(request).children([servers]).build()
}

/// The collections that phone and companions share are always empty here.
pub(super) fn collections(request: &Node) -> Node {
    let asked = child(request, "sync").map(children).unwrap_or_default();
    let collection = |asked: &Node| {
        let version = Some(attr_or_empty(asked, "version")).filter(|it| !it.is_empty());
        element("collection")
            .attr("name", attr_or_empty(asked, "name"))
            .attr("version", version.unwrap_or_else(|| "0".to_owned()))
            .attr("has_more_patches", "false")
            .build()
    };
    let sync = element("sync").children(asked.iter().map(collection)).build();
    result(request).children([sync]).build()
}
