//! The product of several schedules' factors.

use super::{Combinator, Form};
use crate::catalogue::Ends;
use crate::formula::{Position, Term};
use crate::node::{Branch, Memories, Part};
use crate::problem::Problem;
use crate::segment::At;

pub(crate) static COMBINATOR: Combinator = Combinator {
    key: "chain",
    aliases: &["ChainedScheduler", "product"],
    summary: "the product of several schedules' factors lr/base",
    formula: "lr = base * (link/base) * (link/base) * ..., one factor for each link",
    symbols: &[("link", "the lr of one link")],
    ends: Ends { before: "all links run side by side from s = 0", at: "as its links", after: "as its links" },
    source: "torch ChainedScheduler; closed forms, so that a link with an end above 0 is a factor as well",
    example: "{chain: [{kind: multistep, at: [\"50%\"]}, {kind: exponential, gamma: 0.9, every: \"10%\"}]}",
    nodes: &["chain"],
    form: Form::Many,
    groups: &[],
    params: &[],
    read: |reader| Some(Box::new(Chain { links: reader.nodes("chain")? })),
};

#[derive(Debug)]
struct Chain {
    links: Vec<Part>,
}

impl Branch for Chain {
    fn lr(&self, at: &At, memories: &Memories) -> f64 {
        self.links.iter().fold(at.base, |lr, link| lr * (link.lr(at, memories) / at.base))
    }

    fn formula(&self, at: &Position) -> Option<Term> {
        self.links
            .iter()
            .try_fold(at.base.clone(), |lr, link| Some(lr * (link.formula(at)? / at.base.clone())))
    }

    fn active<'a>(&'a self, at: &At, see: &mut dyn FnMut(&'a Part, At)) {
        self.links.iter().for_each(|link| see(link, *at));
    }

    fn parts<'a>(&'a self, at: &At, see: &mut dyn FnMut(&'a Part, At)) {
        self.links.iter().for_each(|link| see(link, *at));
    }

    fn check(&self, _at: &At, _problems: &mut Vec<Problem>) {}
}
