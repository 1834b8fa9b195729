//! The optional ports: read receipts, incoming files, templates, and the check of a device.

use async_trait::async_trait;
use kabar_channel::ports::{
    DeviceCheck, DeviceFacts, IncomingMedia, MediaFile, MetaTemplates, ReadReceipts, TemplateInfo,
};
use kabar_channel::{DeviceLink, MessageKey, Recipient, SendError};
use kabar_core::Secret;
use serde_json::Value;

use crate::channel::{CloudApi, token};
use crate::classify::after_read;
use crate::graph::{GraphError, NumberInfo};

/// Codes by which Graph says that an object is not there.
const NOT_THERE: [i64; 2] = [33, 100];

fn parent(device: &DeviceLink) -> Result<&str, SendError> {
    device.parent.as_deref().ok_or_else(|| {
        SendError::refused("no_waba", "the device has no WhatsApp business account id")
    })
}

#[async_trait]
impl ReadReceipts for CloudApi {
    async fn mark_read(
        &self,
        device: &DeviceLink,
        _chat: &Recipient,
        messages: &[MessageKey],
        typing: bool,
    ) -> Result<(), SendError> {
        let Some(message) = messages.first() else { return Ok(()) };
        self.graph
            .mark_read(token(device)?, &device.address, &message.id, typing)
            .await
            .map_err(|error| after_read(&error))
    }
}

#[async_trait]
impl IncomingMedia for CloudApi {
    async fn fetch(
        &self,
        device: &DeviceLink,
        wire_media_id: &str,
    ) -> Result<MediaFile, SendError> {
        let token = token(device)?;
        let first = self.download(token, &device.address, wire_media_id).await;
        // The address lives 5 minutes and may be dead on arrival: ask for a new one, once.
        let file = match first {
            Err(GraphError::Http { status: 404, .. }) => {
                self.download(token, &device.address, wire_media_id).await
            }
            other => other,
        };
        file.map_err(|error| gone_or(&error))
    }
}

/// A file that is gone says nothing about the number, unlike other missing objects.
fn gone_or(error: &GraphError) -> SendError {
    match error {
        GraphError::Api(api) if NOT_THERE.contains(&api.code) => {
            SendError::refused(api.code.to_string(), api.text())
        }
        GraphError::Http { status: 404, .. } => {
            SendError::refused("http_404", "Meta no longer has the file")
        }
        GraphError::TooLarge { .. } => SendError::refused("too_large", error.to_string()),
        other => after_read(other),
    }
}

impl CloudApi {
    async fn download(
        &self,
        token: &Secret,
        number: &str,
        media: &str,
    ) -> Result<MediaFile, GraphError> {
        let info = self.graph.media_info(token, number, media).await?;
        let (bytes, answered) = self.graph.download_media(token, &info.url).await?;
        let mime = info.mime_type.or(answered);
        Ok(MediaFile {
            bytes,
            mime: mime.unwrap_or_else(|| mime::APPLICATION_OCTET_STREAM.to_string()),
            filename: None,
        })
    }

    /// The number, if the business account holds it.
    async fn number_within(
        &self,
        device: &DeviceLink,
        waba: &str,
    ) -> Result<NumberInfo, SendError> {
        let numbers = self.graph.phone_numbers(token(device)?, waba).await;
        numbers
            .map_err(|error| after_read(&error))?
            .into_iter()
            .find(|number| number.id == device.address)
            .ok_or_else(|| {
                SendError::refused(
                    "number_not_in_account",
                    "the WhatsApp business account holds no number with this phone number id",
                )
            })
    }

    /// The portfolio, where the token may see it.
    async fn portfolio(&self, token: &Secret, waba: &str) -> Result<Option<String>, SendError> {
        match self.graph.waba(token, waba).await {
            Ok(info) => Ok(info.portfolio().map(str::to_owned)),
            Err(error) => match after_read(&error) {
                wait @ (SendError::Retry { .. } | SendError::SlowDown { .. }) => Err(wait),
                _ => Ok(None),
            },
        }
    }
}

#[async_trait]
impl MetaTemplates for CloudApi {
    async fn approved(&self, device: &DeviceLink) -> Result<Vec<TemplateInfo>, SendError> {
        let waba = parent(device)?;
        let templates = self.graph.approved_templates(token(device)?, waba).await;
        let templates = templates.map_err(|error| after_read(&error))?;
        Ok(templates.iter().filter_map(template).collect())
    }
}

/// A template, unless it has no name or language, or the filter was not honoured.
fn template(listed: &Value) -> Option<TemplateInfo> {
    let text = |key: &str| match listed.get(key)? {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    };
    let status = text("status").unwrap_or_default();
    status.eq_ignore_ascii_case("APPROVED").then_some(())?;
    Some(TemplateInfo {
        id: text("id").unwrap_or_default(),
        name: text("name")?,
        language: text("language")?,
        category: text("category").unwrap_or_default(),
        status,
        components: listed.get("components").cloned().unwrap_or_default(),
    })
}

#[async_trait]
impl DeviceCheck for CloudApi {
    async fn check(&self, device: &DeviceLink) -> Result<DeviceFacts, SendError> {
        let (token, waba) = (token(device)?, parent(device)?);
        let number = self.number_within(device, waba).await?;
        let portfolio = self.portfolio(token, waba).await?;
        let subscribed = self.graph.subscribe(token, waba).await;
        subscribed.map_err(|error| after_read(&error))?;
        Ok(DeviceFacts {
            display_phone: number.display_phone_number,
            verified_name: number.verified_name,
            quality: number.quality_rating,
            portfolio,
        })
    }
}
