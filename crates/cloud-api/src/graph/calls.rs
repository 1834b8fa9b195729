//! The calls, one method each.

use kabar_core::Secret;
use serde_json::{Value, json};

use super::{GraphClient, GraphError, NumberInfo, SubscribedApp, WabaInfo};

const NUMBER_FIELDS: &str = "id,display_phone_number,verified_name,quality_rating,status,\
    platform_type,account_mode,whatsapp_business_manager_messaging_limit";
const WABA_FIELDS: &str = "id,name,owner_business_info";
const TEMPLATE_FIELDS: &str = "id,name,status,category,language,components";

/// `number` is a phone number id, `waba` the id of a WhatsApp business account.
impl GraphClient {
    /// Posts a message; the answer is Meta's acceptance as it came.
    pub async fn send_message(
        &self,
        token: &Secret,
        number: &str,
        request: &Value,
    ) -> Result<Value, GraphError> {
        self.post(token, &[number, "messages"], request).await
    }

    /// Marks a message, and what came before it, as read; with `typing` the customer sees for up
    /// to 25 s that we type.
    pub async fn mark_read(
        &self,
        token: &Secret,
        number: &str,
        message_id: &str,
        typing: bool,
    ) -> Result<(), GraphError> {
        let mut request = json!({
            "messaging_product": "whatsapp",
            "status": "read",
            "message_id": message_id,
        });
        if typing && let Some(fields) = request.as_object_mut() {
            fields.insert("typing_indicator".to_owned(), json!({ "type": "text" }));
        }
        self.send_message(token, number, &request).await?;
        Ok(())
    }

    /// Every number of a business account.
    pub async fn phone_numbers(
        &self,
        token: &Secret,
        waba: &str,
    ) -> Result<Vec<NumberInfo>, GraphError> {
        let query = [("fields", NUMBER_FIELDS)];
        self.pages(token, &[waba, "phone_numbers"], &query).await
    }

    /// One number.
    pub async fn phone_number(
        &self,
        token: &Secret,
        number: &str,
    ) -> Result<NumberInfo, GraphError> {
        self.get(token, &[number], &[("fields", NUMBER_FIELDS)]).await
    }

    /// A business account, with the portfolio that owns it.
    pub async fn waba(&self, token: &Secret, waba: &str) -> Result<WabaInfo, GraphError> {
        self.get(token, &[waba], &[("fields", WABA_FIELDS)]).await
    }

    /// Subscribes the token's app to a business account's webhooks. Repeatable.
    pub async fn subscribe(&self, token: &Secret, waba: &str) -> Result<(), GraphError> {
        let parts = [waba, "subscribed_apps"];
        self.post::<Value>(token, &parts, &json!({})).await?;
        Ok(())
    }

    /// The apps that get a business account's webhooks.
    pub async fn subscribed_apps(
        &self,
        token: &Secret,
        waba: &str,
    ) -> Result<Vec<SubscribedApp>, GraphError> {
        self.pages(token, &[waba, "subscribed_apps"], &[]).await
    }

    /// Ends the subscription of the token's app.
    pub async fn unsubscribe(&self, token: &Secret, waba: &str) -> Result<(), GraphError> {
        self.delete(token, &[waba, "subscribed_apps"], &[]).await
    }

    /// Every approved template of a business account, as Meta lists it.
    pub async fn approved_templates(
        &self,
        token: &Secret,
        waba: &str,
    ) -> Result<Vec<Value>, GraphError> {
        let query = [("fields", TEMPLATE_FIELDS), ("status", "APPROVED")];
        self.pages(token, &[waba, "message_templates"], &query).await
    }
}
