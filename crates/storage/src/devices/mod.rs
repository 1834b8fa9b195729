//! Devices, Meta apps and business accounts.

mod business_account;
mod days;
mod device;
mod entity;
mod meta_app;
mod pacing_rules;
mod registry;

use kabar_accounts::Realm;
use kabar_core::{InstallationScope, Scope, Secret, StoreError};
use kabar_devices::meta::{BusinessAccountRepo, MetaAppRegistry, MetaAppRepo};
use kabar_devices::repo::{DeviceDays, PacingRulesRepo};
use kabar_devices::{DeviceRegistry, DeviceRepo, DevicesWork, MetaWork};

use crate::error::bad_row;
use crate::keyring::Place;
use crate::unit::Unit;

impl DevicesWork for Unit {
    fn devices(&self, scope: Scope) -> Box<dyn DeviceRepo + '_> {
        Box::new(device::SeaDevices { unit: self, scope })
    }

    fn device_registry(&self, _scope: InstallationScope) -> Box<dyn DeviceRegistry + '_> {
        Box::new(registry::SeaDeviceRegistry { unit: self })
    }

    fn pacing_rules(&self, scope: Scope) -> Box<dyn PacingRulesRepo + '_> {
        Box::new(pacing_rules::SeaPacingRules { unit: self, scope })
    }

    fn device_days(&self, _scope: InstallationScope) -> Box<dyn DeviceDays + '_> {
        Box::new(days::SeaDeviceDays { unit: self })
    }
}

impl MetaWork for Unit {
    fn meta_apps(&self, realm: Realm) -> Box<dyn MetaAppRepo + '_> {
        Box::new(meta_app::SeaMetaApps { unit: self, realm })
    }

    fn meta_app_registry(&self, _scope: InstallationScope) -> Box<dyn MetaAppRegistry + '_> {
        Box::new(meta_app::SeaMetaAppRegistry { unit: self })
    }

    fn business_accounts(&self, scope: Scope) -> Box<dyn BusinessAccountRepo + '_> {
        Box::new(business_account::SeaBusinessAccounts { unit: self, scope })
    }
}

/// Seals a secret for its column.
pub(crate) fn seal(unit: &Unit, secret: &Secret, place: &Place<'_>) -> Result<String, StoreError> {
    unit.ring().seal(secret, place).map_err(|error| StoreError::Refused(Box::new(error)))
}

/// Opens the secret of a column.
pub(crate) fn open(
    unit: &Unit,
    sealed: &str,
    table: &'static str,
    row: uuid::Uuid,
    column: &'static str,
) -> Result<Secret, StoreError> {
    let place = Place { table, row, column };
    unit.ring().open(sealed, &place).map_err(|error| bad_row(table, row, column, error))
}
