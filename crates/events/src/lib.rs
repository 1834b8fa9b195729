//! Kabar's event log: versioned event types, appended in a unit of work, read without gaps.
