//! H.248 media gateway side: association, contexts, terminations, port pool.
