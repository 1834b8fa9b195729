//! The native REST API, `/api/v1`.
//!
//! One module per area; in each, what the API reads and writes, and the operations. Operations take
//! their proof of permission, translate, call one service, and translate back.

pub mod accounts;
pub mod answer;
pub mod auth;
pub mod body;
pub mod broadcasts;
pub mod bulk_actions;
pub mod contacts;
pub mod content;
pub mod conversations;
pub mod deliveries;
pub mod device_health;
pub mod devices;
pub mod document;
pub mod events;
pub mod exports;
pub mod groups;
pub mod import_upload;
pub mod imports;
pub mod keys;
pub mod live;
pub mod media;
pub mod merges;
pub mod message_exports;
pub mod messages;
pub mod meta_apps;
pub mod network;
pub mod operations;
pub mod opt_outs;
pub mod pacing;
#[cfg(feature = "qr-session")]
pub mod pairing;
pub mod retention;
pub mod rules;
#[cfg(feature = "qr-session")]
pub mod session_list;
pub mod sessions;
pub mod statistics;
pub mod streamed;
pub mod templates;
pub mod upload;
pub mod users;
pub mod webhooks;
pub mod words;

use std::collections::HashMap;
use std::marker::PhantomData;

use kabar::Platform;
use poem::endpoint::BoxEndpoint;
use poem::http::Method;
use poem_openapi::registry::{MetaApi, Registry};
use poem_openapi::{OpenApi, OpenApiService, Tags};

/// The areas of the API.
#[derive(Debug, Clone, Copy, Tags)]
#[oai(rename_all = "lowercase")]
pub enum Area {
    /// Logging in.
    Auth,
    /// Tenants.
    Accounts,
    /// People who can log in.
    Users,
    /// API keys.
    Keys,
    /// WhatsApp numbers.
    Devices,
    /// Meta apps, whose webhooks come in.
    #[oai(rename = "meta-apps")]
    MetaApps,
    /// People and groups that a tenant talks with.
    Contacts,
    /// Chats.
    Conversations,
    /// Messages, out and in.
    Messages,
    /// Files.
    Media,
    /// Message templates of a tenant's own.
    Templates,
    /// One content to many recipients.
    Broadcasts,
    /// Autoreply rules.
    Rules,
    /// What happened.
    Events,
    /// How the installation is, and how it is run.
    Operations,
    /// What happened, told to other programs.
    Webhooks,
    /// What happened, in figures.
    Statistics,
}

/// What is done with many contacts.
type ContactWork = (
    groups::GroupsApi,
    opt_outs::OptOutsApi,
    imports::ImportsApi,
    exports::ExportsApi,
    merges::MergesApi,
);

fn contact_work(platform: &Platform) -> ContactWork {
    (
        groups::GroupsApi(platform.clone()),
        opt_outs::OptOutsApi(platform.clone()),
        imports::ImportsApi(platform.clone()),
        exports::ExportsApi(platform.clone()),
        merges::MergesApi(platform.clone()),
    )
}

/// The operations of paired devices that a server without their channel does not have.
#[cfg(feature = "qr-session")]
type PairingApis = (pairing::PairingApi, session_list::SessionListApi);
#[cfg(not(feature = "qr-session"))]
type PairingApis = ();

#[cfg(feature = "qr-session")]
fn pairing_work(platform: &Platform) -> PairingApis {
    (pairing::PairingApi(platform.clone()), session_list::SessionListApi(platform.clone()))
}

#[cfg(not(feature = "qr-session"))]
fn pairing_work(_: &Platform) -> PairingApis {}

/// Every operation, over nothing: for the document. In groups, because a tuple has its limits.
type Everything = (
    (
        auth::AuthApis,
        accounts::AccountsApi,
        users::UsersApi,
        keys::KeysApi,
        (devices::DevicesApi, sessions::SessionsApi, network::NetworkApi, PairingApis),
        pacing::PacingApi,
        meta_apps::MetaAppsApi,
        contacts::ContactsApi,
    ),
    (
        ContactWork,
        conversations::ConversationsApi,
        messages::MessagesApi,
        bulk_actions::BulkActionsApi,
        templates::TemplatesApi,
        broadcasts::BroadcastsApi,
        media::MediaApi,
        rules::RulesApi,
    ),
    (
        events::EventsApi,
        operations::OperationsApi,
        webhooks::WebhooksApi,
        deliveries::DeliveriesApi,
        statistics::StatisticsApi,
        retention::RetentionApi,
        message_exports::MessageExportsApi,
    ),
);

fn everything(platform: &Platform) -> Everything {
    (
        (
            auth::all(platform),
            accounts::AccountsApi(platform.clone()),
            users::UsersApi(platform.clone()),
            keys::KeysApi(platform.clone()),
            (
                devices::DevicesApi(platform.clone()),
                sessions::SessionsApi(platform.clone()),
                network::NetworkApi(platform.clone()),
                pairing_work(platform),
            ),
            pacing::PacingApi(platform.clone()),
            meta_apps::MetaAppsApi(platform.clone()),
            contacts::ContactsApi(platform.clone()),
        ),
        (
            contact_work(platform),
            conversations::ConversationsApi(platform.clone()),
            messages::MessagesApi(platform.clone()),
            bulk_actions::BulkActionsApi(platform.clone()),
            templates::TemplatesApi(platform.clone()),
            broadcasts::BroadcastsApi(platform.clone()),
            media::MediaApi(platform.clone()),
            rules::RulesApi(platform.clone()),
        ),
        (
            events::EventsApi(platform.clone()),
            operations::OperationsApi(platform.clone()),
            webhooks::WebhooksApi(platform.clone()),
            deliveries::DeliveriesApi(platform.clone()),
            statistics::StatisticsApi(platform.clone()),
            retention::RetentionApi(platform.clone()),
            message_exports::MessageExportsApi(platform.clone()),
        ),
    )
}

/// The API of a platform.
pub fn service(platform: &Platform) -> OpenApiService<impl OpenApi + use<>, ()> {
    described(everything(platform))
}

fn described<T: OpenApi>(operations: T) -> OpenApiService<T, ()> {
    OpenApiService::new(operations, "Kabar", env!("CARGO_PKG_VERSION"))
        .description(document::INTRODUCTION)
        .license("MIT OR Apache-2.0")
        .server("/api/v1")
}

/// The operations without a platform: enough for the document.
struct Described(PhantomData<fn() -> Everything>);

impl OpenApi for Described {
    fn meta() -> Vec<MetaApi> {
        Everything::meta()
    }

    fn register(registry: &mut Registry) {
        Everything::register(registry);
    }

    fn add_routes(self, _: &mut HashMap<String, HashMap<Method, BoxEndpoint<'static>>>) {}
}

/// The document as the library writes it.
fn spec() -> String {
    described(Described(PhantomData)).spec()
}
