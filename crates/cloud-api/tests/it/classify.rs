//! The table of codes.

use std::time::Duration;

use kabar_channel::SendError;
use kabar_cloud_api::{ApiError, classify};

pub fn word(error: &SendError) -> &'static str {
    match error {
        SendError::Retry { .. } => "retry",
        SendError::SlowDown { .. } => "slow",
        SendError::OutsideWindow { .. } => "window",
        SendError::Refused { .. } => "refused",
        SendError::DeviceDown { .. } => "down",
        SendError::Uncertain { .. } => "uncertain",
        _ => "other",
    }
}

/// Every code of the documentation, by what to do about it.
const CODES: &[(&str, &[i64])] = &[
    ("retry", &[1, 2, 131_000, 131_016, 131_056, 132_069, 133_004, 133_015, 134_101]),
    ("slow", &[4, 80_007, 130_429, 131_048, 131_057, 2_494_100]),
    ("window", &[131_047]),
    (
        "down",
        &[
            0, 3, 10, 33, 104, 190, 200, 210, 299, 368, 131_005, 131_031, 131_037, 131_042,
            131_044, 131_045, 133_000, 133_005, 133_006, 133_008, 133_009, 133_010, 133_016,
        ],
    ),
    (
        "refused",
        &[
            100, 130_403, 130_472, 130_497, 131_008, 131_009, 131_021, 131_026, 131_030, 131_049,
            131_050, 131_051, 131_052, 131_053, 131_055, 131_062, 131_063, 131_064, 132_000,
            132_001, 132_005, 132_007, 132_008, 132_012, 132_015, 132_016, 132_018, 132_068,
            134_011, 134_100, 134_102, 135_000, 137_000, 139_000, 139_001, 139_002, 139_003,
            139_004, 147_001, 147_002, 147_003, 147_004, 2_388_012, 2_388_019, 2_388_039,
            2_388_040, 2_388_047, 2_388_072, 2_388_073, 2_388_091, 2_388_093, 2_388_103, 2_388_293,
            2_388_299, 2_593_107, 2_593_108, 2_593_109, 200_005, 200_006, 200_007,
        ],
    ),
];

#[test]
fn every_documented_code_says_what_to_do_whatever_the_status() {
    for (wanted, codes) in CODES {
        for code in *codes {
            for status in [200, 400, 401, 500, 503] {
                let error = classify(&ApiError::new(status, *code));
                assert_eq!(word(&error), *wanted, "{code} with HTTP {status}");
                assert_eq!(error.reason().code, code.to_string());
            }
        }
    }
}

#[test]
fn an_unknown_code_is_judged_by_status_and_transience() {
    for (status, transient, wanted) in [
        (400, false, "refused"),
        (403, false, "refused"),
        (400, true, "retry"),
        (429, false, "slow"),
        (500, false, "uncertain"),
        (503, true, "retry"),
        (200, false, "uncertain"),
    ] {
        let mut error = ApiError::new(status, 987_654);
        error.is_transient = transient;
        assert_eq!(word(&classify(&error)), wanted, "{status} {transient}");
    }
}

#[test]
fn an_object_that_is_not_there_means_the_number() {
    let mut error = ApiError::new(400, 100);
    error.subcode = Some(33);
    assert_eq!(word(&classify(&error)), "down");
    error.subcode = Some(2_494_010);
    assert_eq!(word(&classify(&error)), "refused");
}

#[test]
fn what_meta_asks_us_to_wait_comes_before_our_own_guess() {
    let mut error = ApiError::new(400, 131_057);
    let slow = |error: &ApiError| match classify(error) {
        SendError::SlowDown { after, .. } => after,
        other => panic!("{other}"),
    };
    assert_eq!(slow(&error), Some(Duration::from_mins(1)));
    error.retry_after = Some(Duration::from_secs(7));
    assert_eq!(slow(&error), Some(Duration::from_secs(7)));
}

#[test]
fn the_reason_is_the_more_telling_text() {
    let mut error = ApiError::new(400, 131_026);
    assert_eq!(classify(&error).reason().text, "Graph gave no reason");
    error.message = "(#131026) Message undeliverable".into();
    assert_eq!(classify(&error).reason().text, error.message);
    error.details = Some("Recipient is not on WhatsApp".into());
    assert_eq!(classify(&error).reason().text, "Recipient is not on WhatsApp");
}
