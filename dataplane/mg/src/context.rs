//! A context: terminations associated with each other, H.248.1 6.1.

use h248::error::ErrorCode;
use h248::message::{
    ContextAudit, ContextProperties, StreamId, TerminationId, TopologyDirection, TopologyTriple,
};

use crate::error::{Result, about, error};
use crate::termination::TerminationKey;

/// A context.
#[derive(Clone, Debug, Default)]
pub(crate) struct Context {
    /// In the order they came.
    pub terminations: Vec<TerminationKey>,
    pub priority: u8,
    pub emergency: bool,
    pub ieps: bool,
    /// What departs from both ways; specific terminations only.
    pub topology: Vec<TopologyTriple>,
}

impl Context {
    /// Takes over attributes. `members` are the names of its terminations.
    ///
    /// # Errors
    /// What cannot be had; nothing is changed then.
    pub fn set(&mut self, properties: &ContextProperties, members: &[TerminationId]) -> Result<()> {
        if let Some(attribute) = properties.attributes.first() {
            return Err(about(ErrorCode::UNKNOWN_PROPERTY, &attribute.name));
        }
        if properties
            .priority
            .is_some_and(|priority| priority > PRIORITY_MAX)
        {
            return Err(about(ErrorCode::UNKNOWN_VALUE, "Priority"));
        }
        let mut topology = self.topology.clone();
        for triple in &properties.topology {
            for specific in expand(triple, members)? {
                merge(&mut topology, specific);
            }
        }
        self.topology = topology;
        self.priority = properties.priority.unwrap_or(self.priority);
        self.emergency = properties.emergency.unwrap_or(self.emergency);
        self.ieps = properties.ieps.unwrap_or(self.ieps);
        Ok(())
    }

    /// The attributes that an audit asks for.
    pub fn audit(&self, audit: &ContextAudit) -> ContextProperties {
        ContextProperties {
            priority: audit.priority.then_some(self.priority),
            emergency: audit.emergency.then_some(self.emergency),
            ieps: audit.ieps.then_some(self.ieps),
            topology: if audit.topology {
                self.topology.clone()
            } else {
                Vec::new()
            },
            ..ContextProperties::default()
        }
    }

    /// True when an audit selects this context, or selects none in particular.
    pub fn is_selected(&self, audit: &ContextAudit) -> bool {
        let tests: Vec<bool> = [
            audit
                .select_priority
                .map(|priority| priority == self.priority),
            audit
                .select_emergency
                .map(|emergency| emergency == self.emergency),
            audit.select_ieps.map(|ieps| ieps == self.ieps),
        ]
        .into_iter()
        .flatten()
        .collect();
        match audit.logic {
            Some(h248::message::SelectLogic::Or) if !tests.is_empty() => tests.contains(&true),
            _ => !tests.contains(&false),
        }
    }

    /// A termination left: what the topology says of it goes with it.
    pub fn remove(&mut self, key: TerminationKey, name: &TerminationId) {
        self.terminations.retain(|&other| other != key);
        self.topology
            .retain(|triple| triple.from != *name && triple.to != *name);
    }

    /// The pairs among `names` of which the first does not reach the second with a stream.
    pub fn isolated(&self, names: &[&TerminationId], stream: StreamId) -> Vec<(usize, usize)> {
        let mut isolated = Vec::new();
        if self.topology.is_empty() {
            return isolated;
        }
        for (from, one) in names.iter().enumerate() {
            for (to, two) in names.iter().enumerate() {
                if from != to && !self.passes(one, two, stream) {
                    isolated.push((from, to));
                }
            }
        }
        isolated
    }

    /// Whether media of a stream pass from one termination to another.
    fn passes(&self, from: &TerminationId, to: &TerminationId, stream: StreamId) -> bool {
        let about = |triple: &&TopologyTriple| {
            let pair = (&triple.from, &triple.to);
            let same = pair == (from, to) || pair == (to, from);
            same && triple.stream.is_none_or(|id| id == stream)
        };
        // What was said of this stream counts before what was said of all.
        let triples = || self.topology.iter().filter(about);
        let triple = triples()
            .find(|triple| triple.stream.is_some())
            .or_else(|| triples().next());
        match triple.map(|triple| (triple.direction, triple.from == *from)) {
            None | Some((TopologyDirection::Bothway, _)) => true,
            Some((TopologyDirection::Oneway, is_forward)) => is_forward,
            Some(_) => false,
        }
    }
}

/// A triple between specific terminations for one with wildcards.
fn expand(triple: &TopologyTriple, members: &[TerminationId]) -> Result<Vec<TopologyTriple>> {
    use TopologyDirection::{OnewayBoth, OnewayExternal};
    if matches!(triple.direction, OnewayExternal | OnewayBoth) {
        return Err(error(ErrorCode::TOPOLOGY_NOT_SUPPORTED));
    }
    let among = |pattern: &TerminationId| -> Result<Vec<TerminationId>> {
        let found: Vec<_> = members
            .iter()
            .filter(|name| pattern.matches(name))
            .cloned()
            .collect();
        match () {
            () if pattern.has_choose() => Err(about(ErrorCode::INCORRECT_IDENTIFIER, pattern)),
            () if !found.is_empty() => Ok(found),
            () if pattern.has_all() => Err(about(ErrorCode::NO_TERMINATION_MATCHED, pattern)),
            () => Err(about(ErrorCode::NOT_IN_CONTEXT, pattern)),
        }
    };
    let (from, to) = (among(&triple.from)?, among(&triple.to)?);
    let pairs = from
        .iter()
        .flat_map(|from| to.iter().map(move |to| (from, to)));
    let triples: Vec<_> = pairs
        .filter(|(from, to)| from != to)
        .map(|(from, to)| TopologyTriple {
            from: from.clone(),
            to: to.clone(),
            ..triple.clone()
        })
        .collect();
    match triples.len() {
        0 => Err(error(ErrorCode::TOPOLOGY_NOT_SUPPORTED)),
        _ => Ok(triples),
    }
}

/// Puts a triple in the place of what was said of the same pair and stream.
fn merge(topology: &mut Vec<TopologyTriple>, triple: TopologyTriple) {
    topology.retain(|other| {
        let same = (&other.from, &other.to) == (&triple.from, &triple.to)
            || (&other.from, &other.to) == (&triple.to, &triple.from);
        let replaced = triple.stream.is_none() || other.stream == triple.stream;
        !(same && replaced)
    });
    if triple.direction != TopologyDirection::Bothway || triple.stream.is_some() {
        topology.push(triple);
    }
}

/// The highest priority, clause 6.1.1.
const PRIORITY_MAX: u8 = 15;
