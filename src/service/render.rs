//! Domain → wire. Rounding happens here and nowhere else.
//!
//! Invariant: a version rendered and parsed again is the same version.

pub mod contributing;
pub mod drivers;
pub mod figure;
pub mod forecast;
pub mod marketing;
pub mod pipeline;
pub mod premises;
pub mod quality;
pub mod recommendation;
pub mod record;
pub mod restated;
pub mod scorecard;
pub mod season;
pub mod series;
pub mod strategy;
pub mod target;
pub mod value;
