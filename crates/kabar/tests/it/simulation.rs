//! Days of paced sending, simulated. `KABAR_SIMULATIONS` sets how many random towns are walked; a
//! few when it is absent.

use std::sync::atomic::AtomicU64;

use chrono::TimeDelta;
use kabar::core::Clock as _;
use kabar::devices::pacing::{Batch, Delay, PacingSettings};
use kabar_storage::testing::{TestDatabase, each_database};
use kabar_testkit::SeqIds;

use crate::world::{Dice, Mood, World};

/// The distribution of 8 to 15 seconds and 0 to 5 more: the part of all gaps up to `x`.
fn expected_part(x: f64) -> f64 {
    // Two uniform lengths, 7 and 5, from 8 on: a trapezoid, integrated.
    let x = (x - 8.0).clamp(0.0, 12.0);
    let square = |x: f64| if x > 0.0 { x * x } else { 0.0 };
    (square(x) - square(x - 5.0) - square(x - 7.0)) / (2.0 * 35.0)
}

/// The largest distance between what was seen and what is expected (Kolmogorov and Smirnov).
fn distance(gaps: &mut [f64]) -> f64 {
    gaps.sort_by(f64::total_cmp);
    let count = gaps.len() as f64;
    let seen = gaps.iter().enumerate();
    seen.map(|(n, gap)| {
        let expected = expected_part(*gap);
        (expected - n as f64 / count).abs().max((expected - (n + 1) as f64 / count).abs())
    })
    .fold(0.0, f64::max)
}

/// Gaps that are nothing but delay and jitter: before the hourly cap begins to count, which draws
/// later ones out, and without the rests.
fn plain_gaps(world: &World) -> Vec<f64> {
    let devices = world.devices.iter();
    let gaps = devices.flat_map(|device| {
        let times = world.times(*device, true);
        let gaps = times[..50].windows(2).map(|two| two[1] - two[0]);
        gaps.map(chrono::TimeDelta::as_seconds_f64).collect::<Vec<f64>>()
    });
    gaps.filter(|gap| *gap <= 20.0).collect()
}

const PEOPLE: usize = 2_500;

/// 2,500 people over 5 devices, as careful as unofficial numbers must be.
async fn five_devices(database: TestDatabase) {
    // The random towns walk on both; this one is long.
    if database.is_postgres() {
        return;
    }
    let began = std::time::Instant::now();
    let mut world = World::new(database, 2, PacingSettings::careful(), 7).await;
    world.add_devices(5).await;
    let forecast = world.forecast(PEOPLE).await;
    world.broadcast(PEOPLE).await;
    let start = world.clock.now();
    world
        .walk(async |world, step| {
            if step == 700 {
                *world.notebook.mood.lock().unwrap() = Mood::TooFast;
            }
        })
        .await;
    world.check();
    world.all_arrived(PEOPLE).await;
    let finish = world.page().last().unwrap().at;
    let mut gaps = plain_gaps(&world);
    let count = gaps.len() as f64;
    let mean = gaps.iter().sum::<f64>() / count;
    let far = distance(&mut gaps);
    let hours = |time: TimeDelta| time.as_seconds_f64() / 3600.0;
    eprintln!(
        "{PEOPLE} people over 5 devices in {:.2} h, {:.2} h foreseen; {count} plain gaps \
         from {:.2} to {:.2} s, {mean:.3} s on the mean, distance {far:.4}; {:.1} s of real time",
        hours(finish - start),
        hours(forecast.finish - start),
        gaps.first().unwrap(),
        gaps.last().unwrap(),
        began.elapsed().as_secs_f64(),
    );
    // 8 to 15 and 0 to 5: 14 on the mean with a deviation of 2.48.
    assert!((mean - 14.0).abs() < 4.0 * 2.483 / count.sqrt(), "{mean}");
    // The bound that chance passes once in a thousand times.
    assert!(far < 1.95 / count.sqrt(), "{far}");
    let ratio = hours(finish - start) / hours(forecast.finish - start);
    assert!((0.95..1.05).contains(&ratio), "{ratio}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_thousand_five_hundred_over_five_devices() {
    each_database(five_devices).await;
}

#[expect(clippy::disallowed_methods, reason = "tests are configured by their environment")]
fn simulations() -> u64 {
    std::env::var("KABAR_SIMULATIONS").ok().and_then(|count| count.parse().ok()).unwrap_or(4)
}

/// Settings from a seed: every knob on or off.
fn random_pacing(dice: &Dice) -> PacingSettings {
    let between = |least: u64, most: u64| u32::try_from(least + dice.roll() % (most - least + 1));
    let between = |least, most| between(least, most).unwrap();
    let sometimes = || !dice.roll().is_multiple_of(3);
    let delay = sometimes().then(|| {
        let min_seconds = between(0, 20);
        let max_seconds = min_seconds + between(0, 20);
        Delay { min_seconds, max_seconds, jitter_seconds: between(0, 10) }
    });
    PacingSettings {
        delay,
        hourly: sometimes().then(|| between(3, 30)),
        daily: sometimes().then(|| between(10, 60)),
        batch: sometimes()
            .then(|| Batch { size: between(2, 12), rest_seconds: between(10, 1_200) }),
        per_second: Some(0),
        ..PacingSettings::default()
    }
}

/// A town with random settings, one or two nodes, replies, deaths and complaints.
async fn random_town(database: TestDatabase, seed: u64) {
    let dice = Dice { ids: SeqIds::default(), state: AtomicU64::new(seed) };
    let pacing = random_pacing(&dice);
    eprintln!("seed {seed}: {pacing:?}");
    let nodes = 1 + usize::try_from(seed % 2).unwrap();
    let mut world = World::new(database, nodes, pacing, seed).await;
    world.add_devices(2).await;
    world.broadcast(90).await;
    world
        .walk(async |world, _| {
            if world.replies.len() < 12 && world.below(8) == 0 {
                world.reply().await;
            }
            let mood = match world.below(40) {
                0 => Mood::TooFast,
                1 => Mood::Silent,
                2 => Mood::Dead,
                _ => return,
            };
            *world.notebook.mood.lock().unwrap() = mood;
        })
        .await;
    world.check();
    world.all_arrived(90 + world.replies.len()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn caps_hold_through_deaths_replies_and_complaints() {
    for seed in 0..simulations() {
        each_database(move |database| random_town(database, seed)).await;
    }
}
