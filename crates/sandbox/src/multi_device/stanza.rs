//! Reading and building binary nodes.

use wacore_binary::builder::NodeBuilder;
use wacore_binary::{Jid, Node, NodeContent};

/// The server's own address.
pub(crate) const SERVER: &str = "s.whatsapp.net";

/// More than this many children say little in a trace.
const OUTLINED_CHILDREN: usize = 8;

pub(crate) fn element(tag: &'static str) -> NodeBuilder {
    NodeBuilder::new(tag)
}

/// An attribute as text.
pub(crate) fn attr(node: &Node, key: &str) -> Option<String> {
    node.attrs.get(key).map(|value| value.as_str().into_owned())
}

/// An attribute as text; empty when absent.
pub(crate) fn attr_or_empty(node: &Node, key: &str) -> String {
    attr(node, key).unwrap_or_default()
}

/// Whether an attribute has exactly this value.
pub(crate) fn is(node: &Node, key: &str, value: &str) -> bool {
    node.attrs.get(key).is_some_and(|found| found.as_str() == value)
}

/// An attribute as an address.
pub(crate) fn jid(node: &Node, key: &str) -> Option<Jid> {
    node.attrs.get(key).and_then(wacore_binary::NodeValue::to_jid)
}

pub(crate) fn children(node: &Node) -> &[Node] {
    node.children().unwrap_or_default()
}

pub(crate) fn child<'a>(node: &'a Node, tag: &str) -> Option<&'a Node> {
    children(node).iter().find(|child| child.tag == tag)
}

/// The bytes inside an element.
pub(crate) fn bytes(node: &Node) -> Vec<u8> {
    match &node.content {
        Some(NodeContent::Bytes(bytes)) => bytes.clone(),
        Some(NodeContent::String(text)) => text.as_bytes().to_vec(),
        _ => Vec::new(),
    }
}

/// The bytes inside a child; empty when absent.
pub(crate) fn child_bytes(node: &Node, tag: &str) -> Vec<u8> {
    child(node, tag).map(bytes).unwrap_or_default()
}

/// An element that holds bytes.
pub(crate) fn holding(tag: &'static str, content: impl Into<Vec<u8>>) -> Node {
    element(tag).bytes(content).build()
}

/// Starts the result of a request.
pub(crate) fn result(request: &Node) -> NodeBuilder {
    answer(request, "result")
}

/// The refusal of a request.
pub(crate) fn refusal(request: &Node, code: u16, text: &str) -> Node {
    let error = element("error").attr("code", code.to_string()).attr("text", text).build();
    answer(request, "error").children([error]).build()
}

fn answer(request: &Node, kind: &'static str) -> NodeBuilder {
    let from = attr(request, "to").unwrap_or_else(|| SERVER.to_owned());
    element("iq").attr("from", from).attr("id", attr_or_empty(request, "id")).attr("type", kind)
}

/// A stanza for the trace: tags and attributes, contents by size only.
pub(crate) fn outline(node: &Node) -> String {
    let mut text = format!("<{}", node.tag);
    for (key, value) in node.attrs.iter() {
        text = text + " " + key + "='" + &value.as_str() + "'";
    }
    text.push('>');
    match &node.content {
        None => {}
        Some(NodeContent::Nodes(nodes)) => {
            text.extend(nodes.iter().take(OUTLINED_CHILDREN).map(outline));
        }
        Some(NodeContent::Bytes(bytes)) => return text + &size(bytes.len()),
        Some(NodeContent::String(content)) => return text + &size(content.len()),
    }
    text
}

fn size(bytes: usize) -> String {
    format!("[{bytes}]")
}
