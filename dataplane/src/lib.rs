//! The media runtime: workers, bursts, flows, paths, timers, packet back-ends.
