//! The product of several schedules' factors.

use super::{Combinator, Form};
use crate::catalogue::Ends;
use crate::formula::{Term, TermPosition};
use crate::node::{Branch, Memories, ScheduleNode};
use crate::problem::Problem;
use crate::segment::Position;

pub(crate) static COMBINATOR: Combinator = Combinator {
    key: "chain",
    aliases: &["ChainedScheduler", "product"],
    summary: "the product of several schedules' factors lr/base",
    formula: "lr = base * (link/base) * (link/base) * ..., one factor for each link",
    symbols: &[("link", "the lr of one link")],
    ends: Ends {
        before: "all links start at s = 0 and run in parallel",
        at: "same as its links",
        after: "same as its links",
    },
    source: "torch ChainedScheduler; computed from closed forms, so that a link with an end above 0 is a factor too",
    example: "{chain: [{kind: multistep, at: [\"50%\"]}, {kind: exponential, gamma: 0.9, every: \"10%\"}]}",
    nodes: &["chain"],
    form: Form::Many,
    groups: &[],
    params: &[],
    read: |reader| Some(Box::new(Chain { links: reader.nodes("chain")? })),
};

#[derive(Debug)]
struct Chain {
    links: Vec<ScheduleNode>,
}

impl Branch for Chain {
    fn lr(&self, at: &Position, memories: &Memories) -> f64 {
        self.links.iter().fold(at.base, |lr, link| lr * (link.lr(at, memories) / at.base))
    }

    fn formula(&self, at: &TermPosition) -> Option<Term> {
        self.links
            .iter()
            .try_fold(at.base.clone(), |lr, link| Some(lr * (link.formula(at)? / at.base.clone())))
    }

    fn active_children<'a>(&'a self, at: &Position, visit: &mut dyn FnMut(&'a ScheduleNode, Position)) {
        self.links.iter().for_each(|link| visit(link, *at));
    }

    fn children<'a>(&'a self, at: &Position, visit: &mut dyn FnMut(&'a ScheduleNode, Position)) {
        self.links.iter().for_each(|link| visit(link, *at));
    }

    fn check(&self, _at: &Position, _problems: &mut Vec<Problem>) {}
}
