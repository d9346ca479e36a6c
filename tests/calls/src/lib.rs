//! Call flows between simulated nodes on virtual time.
