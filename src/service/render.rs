//! Domain → wire. Rounding happens here and nowhere else.
//!
//! Invariant: a version rendered and parsed again is the same version.

pub mod contributing;
pub mod drivers;
pub mod figure;
pub mod marketing;
pub mod pipeline;
pub mod premises;
pub mod quality;
pub mod record;
pub mod restated;
pub mod scorecard;
pub mod season;
pub mod series;
pub mod target;
pub mod value;
